/** An orderly restart of the host, by systemd. */
import type { RebootRequest, RebootResponse } from '#gen/hive/v1/host.ts'
import { HiveError } from '../../../proto/errors.ts'
import { run } from '../../adapters/command.ts'
import { bootId } from '../../adapters/systemd.ts'

/**
 * Answers as soon as systemd has begun. A host whose boot id is not the one that is to end has started anew already: the same request again
 * does nothing to it. Throws HiveError 'invalid-input' without a boot id, 'command-failed' where systemd refuses.
 */
export async function reboot({ bootId: ending, reason }: RebootRequest, signal: AbortSignal): Promise<RebootResponse> {
  if (ending === '') throw new HiveError('invalid-input', 'a restart names the boot that is to end', { hint: 'boot_id of HostService/Info' })
  const now = await bootId()
  if (now !== ending) return { begun: false, bootId: now }
  await run(['systemctl', '--no-ask-password', '--no-wall', ...(reason === '' ? [] : [`--message=${reason}`]), 'reboot'], { signal, timeout: 30_000 })
  return { begun: true, bootId: now }
}
