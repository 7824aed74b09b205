/** This host's copy of a volume as it is, kept under a name with its date before something is thrown away. */
import { HiveError } from '../../../proto/errors.ts'
import { readVolumes, snapshotVolume } from '../../adapters/lvm.ts'

/** "web-20261122T081930Z": nothing deletes it by itself. */
export const snapshotName = (volume: string, at: Date): string => `${volume}-${at.toISOString().replaceAll(/[-:]|\.\d+/g, '')}`

/** GROUP/NAME of the snapshot. Throws HiveError 'blocked' where there is none to be had, and says what to do instead. */
export async function keepSnapshot(name: string, at: Date, signal: AbortSignal): Promise<string> {
  const found = (await readVolumes(signal)).filter((volume) => volume.name === name)
  const [volume] = found
  if (volume === undefined) throw new HiveError('blocked', `there is no logical volume ${name} on this host to take a snapshot of`, { hint })
  if (found.length > 1)
    throw new HiveError('blocked', `${found.map((one) => `${one.volumeGroup}/${one.name}`).join(' and ')}: it is not clear which one is ${name}`, { hint })
  const snapshot = snapshotName(name, at)
  try {
    await snapshotVolume({ volumeGroup: volume.volumeGroup, name, snapshot }, signal)
  } catch (error) {
    if (!(error instanceof HiveError) || error.code === 'cancelled') throw error
    throw new HiveError('blocked', `no snapshot of ${volume.volumeGroup}/${name}: ${error.message}`, { hint: error.hint ?? hint, log: error.log, cause: error })
  }
  return `${volume.volumeGroup}/${snapshot}`
}

const hint = 'make a copy by hand, and repeat without a snapshot'
