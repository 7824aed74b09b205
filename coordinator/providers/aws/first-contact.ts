/** From "the instance runs" to "somebody can log in": waits for ssh and for cloud-init, and says what the console says where neither comes. */
import { HiveError } from '../../../proto/errors.ts'
import { onHost } from '../../bootstrap/ssh.ts'
import type { SshTarget } from '../provider.ts'
import type { AwsApi } from './api.ts'
import type { MadeHost } from './apply-hosts.ts'
import { untilAnswer } from './wait.ts'

/** Milliseconds: hive-builder waits as long. */
const firstContactPatience = 600_000

export interface Contact {
  readonly api: AwsApi
  readonly contextDir: string
  readonly signal: AbortSignal
  /** Milliseconds. */
  readonly patience?: number
}

/** Returns when the host lets its admin user in and cloud-init is through. Throws HiveError with the console's last lines. */
export async function awaitHost(made: MadeHost, target: SshTarget, { api, contextDir, signal, patience = firstContactPatience }: Contact): Promise<void> {
  let last: HiveError | undefined
  const answered = await untilAnswer(
    async () => {
      try {
        await onHost(target, 'true', { contextDir, signal, timeout: 30_000 })
        return true
      } catch (error) {
        if (!(error instanceof HiveError) || error.code === 'cancelled' || error.code === 'conflict') throw error
        // Refused: cloud-init has not made the user yet.
        last = error
        return undefined
      }
    },
    { clock: api.clock, signal, deadline: patience, first: 500, most: 3_000 },
  )
  if (answered === undefined) {
    const log = await consoleOutput(api, made.instanceId, made.name, signal)
    const why = last === undefined ? '' : `: ${last.message}`
    throw new HiveError('unreachable', `${made.name} (${made.instanceId}) runs and lets nobody in after ${Math.round(patience / 1000)} s${why}`, {
      host: made.name,
      hint:
        log.length === 0
          ? 'AWS has no console output of it yet; does the security group let ssh through from here?'
          : 'the last lines of its console follow; does the security group let ssh through from here?',
      log,
    })
  }
  if (!made.isNew) return
  // Its last stage may still hold the package manager.
  const script =
    'command -v cloud-init >/dev/null 2>&1 || exit 0; cloud-init status --wait >/dev/null 2>&1; [ $? -ne 1 ] || { cloud-init status --long >&2; exit 1; }'
  // cloud-init makes the host's keys anew while its sshd answers already, and a log-in that falls into that moment is closed.
  await onHost(target, script, { contextDir, signal, timeout: 300_000, patience })
}

/** The last lines of an instance's console; none where AWS has none, or tells nobody. */
async function consoleOutput(api: AwsApi, instanceId: string, host: string, signal: AbortSignal): Promise<readonly string[]> {
  try {
    const { Output = '' } = await api.call('GetConsoleOutput', { InstanceId: instanceId }, { what: `console of ${host}`, host }, signal)
    const text = Buffer.from(Output, 'base64').toString('utf8').trimEnd()
    return text === '' ? [] : text.split(/\r?\n/).slice(-20)
  } catch (error) {
    return error instanceof HiveError ? [error.message] : []
  }
}
