/** Why a connection stands alone: only the kernel's log tells. Pure. */

export type Cause = 'split-brain' | 'race' | 'secret' | 'port' | 'size' | 'ex-primary'

export interface KernelCause {
  readonly cause: Cause
  readonly line: string
}

interface Sign {
  readonly cause: Cause
  readonly pattern: RegExp
  /** The line itself names no peer: one of the next few does. */
  readonly peerFollows?: true
}

/** Messages of DRBD 9.2 and 9.3. */
const signs: readonly Sign[] = [
  { cause: 'split-brain', pattern: /Split-Brain detected but unresolved/ },
  { cause: 'race', pattern: /Can not start OV\/resync since it is already active/, peerFollows: true },
  { cause: 'secret', pattern: /Authentication of peer failed/ },
  { cause: 'port', pattern: /Failed to initiate connection, err=-98/ },
  { cause: 'size', pattern: /disk size is too small/ },
  { cause: 'ex-primary', pattern: /I shall become SyncTarget, but I am primary/ },
  { cause: 'ex-primary', pattern: /State change failed: Multiple primaries not allowed by config/, peerFollows: true },
]

/** A connection that came to be forgets what was wrong with it before. */
const recovered = /conn\( \S+ -> Connected \)/

/** The newest known cause that the log of a resource has for this peer; undefined where it has none, or the peer has been connected since. */
export function causeOf(lines: readonly string[], peer: string): KernelCause | undefined {
  let found: KernelCause | undefined
  for (const [index, line] of lines.entries()) {
    const ofPeer = peerOf(line) === peer
    const sign = signs.find(({ pattern }) => pattern.test(line))
    if (sign !== undefined && (ofPeer || (sign.peerFollows === true && followingPeer(lines, index) === peer)))
      found = { cause: sign.cause, line: withoutTime(line) }
    else if (ofPeer && recovered.test(line)) found = undefined
  }
  return found
}

/** "drbd hive/0 drbd1 s-hive2.pdns: …" */
const peerOf = (line: string): string | undefined => /\bdrbd \S+(?: drbd\d+)? (\S+): /.exec(line)?.[1]

function followingPeer(lines: readonly string[], index: number): string | undefined {
  for (const line of lines.slice(index + 1, index + 6)) {
    const peer = peerOf(line)
    if (peer !== undefined) return peer
  }
  return undefined
}

/** Without the clock in front, which differs by where the line was read. */
const withoutTime = (line: string): string => line.replace(/^.*?(?=\bdrbd )/, '')
