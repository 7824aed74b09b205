/**
 * Whether a host's machine can be given up for another one. Pure. A host that answers is weighed as one that goes away now. What one that is away already has
 * taken along can't be taken once more: what is weighed is whether its disks may hold what is nowhere else.
 */
import type { SitePicture, VolumeStates } from './picture.ts'
import { quorumWithout } from './quorum-without.ts'
import { type Reason, type Verdict, verdictOf } from './verdict.ts'
import { weighLoss } from './weigh-loss.ts'

/** `gone`: the machine is no more, and its disks with it, whatever is done here. */
export function weighReplacement(picture: SitePicture, name: string, gone: boolean, allowed: ReadonlySet<string> = new Set()): Verdict {
  const host = picture.hosts.find((one) => one.name === name)
  const loss = weighLoss(picture, { kind: 'host', host: name }, allowed)
  if (host === undefined || host.answers) return loss
  const others = loss.reasons.filter(({ about }) => about.kind !== 'volume')
  return verdictOf([...others, ...picture.volumes.flatMap((volume) => volumeOf(volume, name, gone))], allowed)
}

function volumeOf(volume: VolumeStates, host: string, gone: boolean): readonly Reason[] {
  const { name, hosts, diskful } = volume
  if (!hosts.has(host)) return []
  const about = { kind: 'volume', name } as const
  const { verdict, reasons } = quorumWithout(volume, host, 'none')
  const evidence = [...hosts].map(([one, seen]) => `${one}: ${seen === undefined ? 'does not answer' : (seen.status?.devices[0]?.diskState ?? 'not up')}`)
  if (verdict === 'safe') return [{ severity: 'keeps', about, text: `volume ${name}: ${reasons.join('; ')}`, evidence }]
  if (!diskful.has(host)) return [{ severity: 'notes', about, text: `volume ${name}, of which the host has no disk: ${reasons.join('; ')}`, evidence }]
  if (gone) return [{ severity: 'notes', about, text: `volume ${name}: the host's copy is gone already; ${reasons.join('; ')}`, evidence }]
  // Without a quorum nobody knows whether those that do not answer have gone on by themselves.
  return [{ severity: 'stops', about, text: `the last valid copy of volume ${name} may be on ${host}: ${reasons.join('; ')}`, evidence }]
}
