/** The EC2 emulator (moto_server) as a child process on a free port of 127.0.0.1. */
import { spawn } from 'node:child_process'
import { interpreterOf, pythonEnvironment } from '../support/python-root.ts'
import { ensureEmulatorRoot } from './emulator-root.ts'

const images = new URL('../fixtures/ec2/amis.json', import.meta.url).pathname
const startDeadline = 60_000

/** Ends when its input ends, so also when the process that started it is killed. */
const program = `import os, sys, threading
threading.Thread(target=lambda: (sys.stdin.buffer.read(), os._exit(0)), daemon=True).start()
from moto.ec2.models.instances import Instance
from moto.server import main
# EC2 frees a fixed address with its instance; the emulator only when Python forgets the instance.
terminate = Instance.terminate
def terminate_and_free(self, *args, **named):
    answer = terminate(self, *args, **named)
    self.__del__()
    return answer
Instance.terminate = terminate_and_free
main(["-H", "127.0.0.1", "-p", "0"])
`

export interface Emulator {
  /** http://127.0.0.1:PORT */
  readonly endpoint: string
  /** Empties it: all regions, all services. */
  readonly reset: () => Promise<void>
  readonly stop: () => Promise<void>
}

/** Starts it, with checks of images, instance types and key names switched on. Throws with its output where it doesn't start. */
export async function startEmulator(signal: AbortSignal): Promise<Emulator> {
  const root = await ensureEmulatorRoot(signal)
  const child = spawn(interpreterOf(root), ['-s', '-c', program], {
    stdio: ['pipe', 'ignore', 'pipe'],
    env: {
      ...pythonEnvironment(root),
      MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION: '1',
      MOTO_ENABLE_KEYPAIR_VALIDATION: '1',
      MOTO_ENABLE_AMI_VALIDATION: '1',
      MOTO_AMIS_PATH: images,
    },
  })
  child.stdin.on('error', () => undefined)
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  const stop = async (): Promise<void> => {
    child.ref()
    child.kill('SIGKILL')
    await ended
  }
  const atExit = (): void => void child.kill('SIGKILL')
  process.once('exit', atExit)
  void ended.then(() => process.off('exit', atExit))
  try {
    const endpoint = await new Promise<string>((resolve, reject) => {
      let log = ''
      const late = setTimeout(() => reject(new Error(`the emulator does not start: ${log}`)), startDeadline)
      child.once('error', reject)
      child.once('close', (code) => reject(new Error(`the emulator ended with ${code}: ${log}`)))
      child.stderr.setEncoding('utf8').on('data', (text: string) => {
        // Kept while it starts; afterwards only drained.
        if (log.length < 20_000) log += text
        const found = /Running on (http:\/\/127\.0\.0\.1:\d+)/.exec(log)?.[1]
        if (found === undefined) return
        clearTimeout(late)
        resolve(found)
      })
    })
    // A test that forgets to stop it must still be able to end.
    child.unref()
    for (const stream of [child.stdin, child.stderr]) if ('unref' in stream && typeof stream.unref === 'function') stream.unref()
    const reset = async (): Promise<void> => {
      const answer = await fetch(`${endpoint}/moto-api/reset`, { method: 'POST' })
      if (!answer.ok) throw new Error(`reset of the emulator: ${answer.status}`)
    }
    return { endpoint, reset, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
