import { run } from '../command.ts'

/** Whether a host answers one echo request that comes from this address. */
export async function answersPing(to: string, from: string, family: 4 | 6, signal: AbortSignal): Promise<boolean> {
  // 1: no answer; 2: it could not even be asked, as where there is no route.
  const { code } = await run(['ping', `-${family}`, '-c', '1', '-W', '2', '-I', from, to], { readOnly: true, timeout: 10_000, okCodes: [0, 1, 2], signal })
  return code === 0
}
