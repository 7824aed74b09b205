/** What is wrong between two hosts of a volume. Pure. */
import type { VolumeExamination } from '#gen/hive/v1/doctor.ts'
import { type Finding, finding, type Repair, repairOf } from './finding.ts'
import { type Cause, causeOf } from './kernel-cause.ts'
import { connectionLine, connectionTo, deviceOf, pairs, peerDeviceOf, stateLine, type VolumePicture } from './picture.ts'

interface Pair {
  readonly volume: string
  readonly one: string
  readonly other: string
  readonly seenByOne: VolumeExamination
  readonly seenByOther: VolumeExamination
  readonly lines: readonly string[]
}

export function connectionFindings(picture: VolumePicture): readonly Finding[] {
  return onePerHost(
    pairs(picture).flatMap(([one, other]) => {
      const seenByOne = picture.hosts.get(one)
      const seenByOther = picture.hosts.get(other)
      // Not up, or not answering: told of the host.
      if (seenByOne?.status === undefined || seenByOther?.status === undefined) return []
      if (seenByOne.status.connections.length === 0 || seenByOther.status.connections.length === 0) return []
      const lines = [connectionLine(one, other, seenByOne), connectionLine(other, one, seenByOther)]
      const pair = { volume: picture.name, one, other, seenByOne, seenByOther, lines }
      const states = [connectionTo(seenByOne, other)?.state, connectionTo(seenByOther, one)?.state]
      if (states.every((state) => state === 'Connected')) return replication(pair, picture)
      const found = apart(pair)
      return found === undefined ? [] : [found]
    }),
  )
}

/** States that are of a host, not of a pair, are told once for it. */
function onePerHost(findings: readonly Finding[]): readonly Finding[] {
  const seen = new Set<string>()
  return findings.filter(({ state, hosts }) => {
    if (state !== 'ex-primary') return true
    const key = `${state} ${hosts[0] ?? ''}`
    if (seen.has(key)) return false
    seen.add(key)
    return true
  })
}

function apart(pair: Pair): Finding | undefined {
  const { volume, one, other, seenByOne, seenByOther, lines } = pair
  const causes = [causeOf(seenByOne.kernelLines, other), causeOf(seenByOther.kernelLines, one)]
  const because = (cause: Cause): readonly string[] =>
    causes.flatMap((known, index) => (known?.cause === cause ? [`${index === 0 ? one : other}: ${known.line}`] : []))
  const has = (cause: Cause): boolean => causes.some((known) => known?.cause === cause)
  const standsAlone = [one, other].filter((host) => stateOf(pair, host) === 'StandAlone')
  const about = { volume, hosts: [one, other] }
  const ex = exPrimary(pair)
  if (ex !== undefined) return ex
  if (has('split-brain') && standsAlone.length > 0) {
    return finding({
      ...about,
      state: 'split-brain',
      title: `split brain: ${one} and ${other} were both written to while they did not see each other`,
      evidence: [...[seenByOne, seenByOther].map((seen, index) => stateLine(index === 0 ? one : other, seen)), ...lines, ...because('split-brain')],
      advice: 'look at both: choose whose changes since then are given up. Its logical volume is kept as a snapshot first',
      choices: new Map([one, other].filter((host) => !inUse(pair, host)).map((victim) => [victim, giveUp(volume, victim, victim === one ? other : one)])),
    })
  }
  if (has('secret')) {
    return finding({
      ...about,
      state: 'wrong-secret',
      title: `${one} and ${other} have different shared secrets of ${volume}`,
      evidence: [...lines, ...because('secret')],
      advice: 'hivecoord build-volumes writes the same resource file everywhere and connects again',
      ...(sameFile(pair) ? { repair: adjustBoth(pair, standsAlone) } : {}),
    })
  }
  // Told of the host.
  if (has('port')) return undefined
  if (has('size')) {
    return finding({
      ...about,
      state: 'peer-too-small',
      title: `one disk of ${volume} is smaller than the data it should take`,
      evidence: [...lines, ...because('size')],
      advice: 'hivecoord build-volumes grows the smaller logical volume to the size of the inventory, then connects again',
    })
  }
  if (has('race') && standsAlone.length === 1) {
    const host = causes[0]?.cause === 'race' ? one : other
    return finding({
      ...about,
      state: 'refused-by-race',
      title: `${host} dropped the connection when ${host === one ? other : one} came back, because a resync with a third host had just begun; no split brain`,
      evidence: [...lines, ...because('race')],
      repair: repairOf(`connect ${volume} on ${host} again`, { kind: 'connect', host, peer: host === one ? other : one }),
    })
  }
  if (connectionTo(seenByOne, other) === undefined || connectionTo(seenByOther, one) === undefined) {
    return finding({
      ...about,
      state: 'not-in-peer-file',
      title: `${connectionTo(seenByOne, other) === undefined ? one : other} does not know the other as a host of ${volume}`,
      evidence: lines,
      advice: 'hivecoord build-volumes writes the same resource file everywhere and adjusts',
    })
  }
  if (standsAlone.length > 0) {
    return finding({
      ...about,
      state: 'standalone-unexplained',
      title: `${standsAlone.join(' and ')} gave up the connection of ${volume}; the kernel's log does not tell why any more`,
      evidence: lines,
      advice: 'connecting again discards nothing: a split brain would be refused again and then be in the log',
      repair: adjustBoth(pair, standsAlone),
    })
  }
  return finding({
    ...about,
    state: 'connecting-for-good',
    title: `${one} and ${other} both try to connect ${volume} and do not reach each other`,
    evidence: [...lines, `addresses: ${addresses(seenByOne)}`],
    advice: `is port ${seenByOne.file?.port ?? ''}/tcp open between them, both ways? Do the addresses in the resource file still belong to the hosts?`,
  })
}

const stateOf = ({ one, other, seenByOne, seenByOther }: Pair, host: string): string | undefined =>
  (host === one ? connectionTo(seenByOne, other) : connectionTo(seenByOther, one))?.state
const inUse = ({ one, seenByOne, seenByOther }: Pair, host: string): boolean => (host === one ? seenByOne : seenByOther).status?.role === 'Primary'
const sameFile = ({ seenByOne, seenByOther }: Pair): boolean => seenByOne.file !== undefined && seenByOne.file.sha256 === seenByOther.file?.sha256
const addresses = (seen: VolumeExamination): string =>
  (seen.file?.nodes ?? []).map(({ name, address }) => `${name} ${address}:${seen.file?.port ?? ''}`).join(', ')

const adjustBoth = ({ volume, one, other }: Pair, hosts: readonly string[]): Repair =>
  repairOf(
    `connect ${volume} between ${one} and ${other} again`,
    ...hosts.map((host) => ({ kind: 'connect' as const, host, peer: host === one ? other : one })),
  )

/** The survivor listens again only after the victim has given up its changes; else the two refuse each other anew. */
const giveUp = (volume: string, victim: string, survivor: string): Repair => ({
  title: `give up what only ${victim} has of ${volume}, and fill it from ${survivor}`,
  actions: [
    { kind: 'discard', host: victim },
    { kind: 'adjust', host: survivor },
    { kind: 'adjust', host: victim },
  ],
  discards: true,
})

/** A former Primary that lost quorum and came back: no split brain, its unacknowledged writes are given up when it reconnects. */
function exPrimary(pair: Pair): Finding | undefined {
  for (const [host, seen, peerSeen, peer] of [
    [pair.one, pair.seenByOne, pair.seenByOther, pair.other],
    [pair.other, pair.seenByOther, pair.seenByOne, pair.one],
  ] as const) {
    const cause = causeOf(seen.kernelLines, peer)
    // With rr-conflict retry-connect it tries again and again, else it stands alone.
    const alone = seen.status?.connections.every(({ state }) => state !== 'Connected') === true
    if (cause?.cause !== 'ex-primary' || !alone || deviceOf(seen)?.quorum !== false) continue
    const busy = seen.status?.role === 'Primary'
    return finding({
      state: 'ex-primary',
      volume: pair.volume,
      hosts: [host],
      title: `${host} was cut off while it used ${pair.volume}, which went on elsewhere; it came back and is not connected`,
      evidence: [stateLine(host, seen), stateLine(peer, peerSeen), `${host}: ${cause.line}`],
      advice: busy ? `what uses the volume on ${host} must end first: its agent stops those containers by itself unless it is held` : '',
      ...(busy ? {} : { repair: reconnect(pair.volume, host, peerSeen.status?.connections.length === 0 ? [] : [peer]) }),
    })
  }
  return undefined
}

const reconnect = (volume: string, host: string, peers: readonly string[]): Repair =>
  repairOf(`connect ${volume} on ${host} again; it fills from the others`, ...[...peers, host].map((name) => ({ kind: 'adjust' as const, host: name })))

const copying = new Set(['SyncSource', 'SyncTarget', 'PausedSyncS', 'PausedSyncT', 'VerifyS', 'VerifyT'])

function replication(pair: Pair, picture: VolumePicture): readonly Finding[] {
  const { volume, one, other, seenByOne, seenByOther, lines } = pair
  const ofOne = peerDeviceOf(connectionTo(seenByOne, other))
  const ofOther = peerDeviceOf(connectionTo(seenByOther, one))
  if (ofOne === undefined || ofOther === undefined) return []
  const before = peerDeviceOf(connectionTo(picture.earlier.get(one), other))
  const beforeOther = peerDeviceOf(connectionTo(picture.earlier.get(other), one))
  const cycle = repairOf(
    `close and open the connection of ${volume} between ${one} and ${other}`,
    { kind: 'disconnect', host: one, peer: other },
    { kind: 'connect', host: one, peer: other },
  )
  const about = { volume, hosts: [one, other] }
  const waiting = [ofOne, ofOther].some(({ replicationState }) => replicationState === 'WFBitMapS' || replicationState === 'WFBitMapT')
  const waited = [before, beforeOther].some((device) => device?.replicationState === 'WFBitMapS' || device?.replicationState === 'WFBitMapT')
  if (waiting && waited) {
    return [
      finding({
        ...about,
        state: 'waiting-for-bitmap',
        title: `${one} and ${other} wait for each other's list of changed blocks of ${volume}`,
        evidence: lines,
        repair: cycle,
      }),
    ]
  }
  const target = [ofOne, ofOther].find(({ replicationState }) => replicationState === 'SyncTarget' || replicationState === 'SyncSource')
  if (target !== undefined && before !== undefined && before.outOfSyncKib === ofOne.outOfSyncKib && ofOne.outOfSyncKib > 0n) {
    return [
      finding({
        ...about,
        state: 'resync-latched',
        title: `the resync of ${volume} between ${one} and ${other} does not move`,
        evidence: [...lines, `out of sync: ${before.outOfSyncKib} KiB before, ${ofOne.outOfSyncKib} KiB now`],
        repair: cycle,
      }),
    ]
  }
  const left = ofOne.outOfSyncKib > 0n || ofOther.outOfSyncKib > 0n
  const bothWhole = deviceOf(seenByOne)?.diskState === 'UpToDate' && deviceOf(seenByOther)?.diskState === 'UpToDate'
  if (left && bothWhole && !copying.has(ofOne.replicationState) && !copying.has(ofOther.replicationState) && ofOne.replicationState === 'Established') {
    return [
      finding({
        ...about,
        state: 'out-of-sync',
        title: `${one} and ${other} count blocks of ${volume} as different: a verify found them, or a resync left them`,
        evidence: [...lines, `out of sync: ${ofOne.outOfSyncKib} KiB seen from ${one}, ${ofOther.outOfSyncKib} KiB seen from ${other}`],
        advice: 'reconnecting copies them from the Primary, or from the side that counts them',
        repair: cycle,
      }),
    ]
  }
  return []
}
