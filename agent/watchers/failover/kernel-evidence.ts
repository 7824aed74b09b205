/**
 * What the kernel's log says of why a connection stands alone. The states alone do not tell: a split brain, a wrong secret, a port that is
 * taken and a race look the same (all of them, and the lines read here, are recorded from DRBD 9.3.3).
 */
import type { Peer } from './picture.ts'

/** Lines that belong to the last attempt at a connection: from the last time it began, to the end. A log that was cut has only its end. */
function lastAttempt(lines: readonly string[], resource: string, peer: string): readonly string[] {
  const of = `drbd ${resource} ${peer}: `
  const began = lines.findLastIndex((line) => line.includes(of) && /Handshake to peer \d+ successful|conn\( \S+ -> Connecting \)/.test(line))
  return lines.slice(Math.max(0, began))
}

const ofPeer = (line: string, resource: string, peer: string): boolean =>
  line.includes(`drbd ${resource} ${peer}: `) || (line.includes(`drbd ${resource}/`) && line.includes(` ${peer}: `))

/**
 * Whether the log knows of a split brain that was not followed by a connection in good order again. Also where no peer is named, and in
 * doubt yes: then nothing may connect by itself.
 */
export function splitBrain(lines: readonly string[], resource: string): boolean {
  const last = lines.findLastIndex((line) => /split-brain/i.test(line) && !/Ignore Split-Brain|Split-Brain detected, manually solved/i.test(line))
  if (last < 0) return false
  const [, peer] = new RegExp(`drbd ${escaped(resource)}/\\d+ drbd\\d+ (\\S+): `).exec(lines[last] ?? '') ?? []
  if (peer === undefined) return true
  return !lines.slice(last).some((line) => ofPeer(line, resource, peer) && /repl\( \S+ -> Established \)/.test(line))
}

/** The lines by which a race at the beginning of a resync made this side leave a peer that it was connected with; empty where it did not. */
export function resyncRace(lines: readonly string[], resource: string, peer: string): readonly string[] {
  const attempt = lastAttempt(lines, resource, peer)
  const refused = attempt.findIndex((line) => line.includes(`drbd ${resource}: State change failed: Can not start OV/resync since it is already active`))
  if (refused < 0) return []
  // The refusal itself names no peer; what it refused follows at once, and then this side hangs up.
  const after = attempt.slice(refused, refused + 6)
  const failed = after.find((line) => ofPeer(line, resource, peer) && /Failed: repl\( /.test(line))
  const left = after.find((line) => ofPeer(line, resource, peer) && /conn\( Connected -> Disconnecting \)/.test(line))
  const alone = endsAlone(attempt, resource, peer)
  return failed === undefined || left === undefined || alone === undefined ? [] : [attempt[refused] ?? '', failed, left, alone]
}

/** The lines by which this host, then Primary with older data, was refused by a peer; empty where it was not. */
export function refusedWhilePrimary(lines: readonly string[], resource: string, peer: string): readonly string[] {
  const attempt = lastAttempt(lines, resource, peer)
  const target = attempt.find((line) => ofPeer(line, resource, peer) && /I shall become SyncTarget, but I am primary/.test(line))
  const left = attempt.find((line) => ofPeer(line, resource, peer) && /conn\( Connecting -> Disconnecting \) \[connect-failed\]/.test(line))
  const alone = endsAlone(attempt, resource, peer)
  return target === undefined || left === undefined || alone === undefined ? [] : [target, left, alone]
}

/** The lines by which a peer that was Primary with older data hung up on this host, whose data is newer; empty where it did not. */
export function peerLeftAsPrimary(lines: readonly string[], resource: string, peer: Peer, nodeId: number): readonly string[] {
  const attempt = lastAttempt(lines, resource, peer.name)
  const asked = attempt.find(
    (line) =>
      line.includes(`drbd ${resource}: Preparing remote state change `) && line.includes(`: ${peer.nodeId}->${nodeId} role( Primary ) conn( Connected )`),
  )
  const newer = attempt.find((line) => ofPeer(line, resource, peer.name) && /uuid_compare\(\)=source-use-bitmap by rule=/.test(line))
  const left = attempt.find((line) => ofPeer(line, resource, peer.name) && /conn\( Connecting -> Disconnecting \) \[receive-disconnect\]/.test(line))
  const alone = endsAlone(attempt, resource, peer.name)
  return asked === undefined || newer === undefined || left === undefined || alone === undefined ? [] : [asked, newer, left, alone]
}

/** The line by which the attempt ended in StandAlone, where it is the last word on the connection. */
function endsAlone(attempt: readonly string[], resource: string, peer: string): string | undefined {
  const last = attempt.findLast((line) => line.includes(`drbd ${resource} ${peer}: conn( `))
  return last !== undefined && /-> StandAlone \)/.test(last) ? last : undefined
}

const escaped = (text: string): string => text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
