/** Who this process is, in a way that tells a dead process from a living one that got the same number. */
import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { localIdentity } from '../pki/stage-pki.ts'

export interface ProcessIdentity {
  readonly pid: number
  /** Field 22 of /proc/PID/stat: clock ticks since the machine started. */
  readonly startTime: string
  /** First 8 digits of the kernel's boot id: another machine, or the same one before it started anew, has another. */
  readonly boot: string
}

/** The start time of a process, or undefined where there is none of that number. */
export function startTimeOf(pid: number): string | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the command's name in parentheses and may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  } catch {
    return undefined
  }
}

export function thisProcess(): ProcessIdentity {
  return { pid: process.pid, startTime: startTimeOf(process.pid) ?? '0', boot: bootId() }
}

/** Owners that this very program made: a process that replaced itself by another program keeps its number and start time. */
const own = new Set<string>()

/** True only where it is certain: same boot of this machine, and no such process any more, or another program in it. */
export function isDead(owner: Owner): boolean {
  if (owner.boot !== bootId()) return false
  if (startTimeOf(owner.pid) !== owner.startTime) return true
  return owner.pid === process.pid && !own.has(owner.text)
}

function bootId(): string {
  try {
    return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').slice(0, 8)
  } catch {
    return 'unknown'
  }
}

/** USER@HOST:pid:starttime:BOOT-random. The owner of a site lock. */
export function newOwner(self: ProcessIdentity = thisProcess(), who = localIdentity()): string {
  const text = `${who}:${self.pid}:${self.startTime}:${self.boot}-${randomBytes(4).toString('hex')}`
  if (self.pid === process.pid) own.add(text)
  return text
}

export interface Owner extends ProcessIdentity {
  readonly who: string
  /** As it was given. */
  readonly text: string
}

/** Takes an owner apart; undefined where it is not one of ours. */
export function parseOwner(owner: string): Owner | undefined {
  const found = /^(.+):(\d+):(\d+):([^:-]+)-[0-9a-f]+$/.exec(owner)
  if (found === null) return undefined
  const [, who = '', pid = '', startTime = '', boot = ''] = found
  return { text: owner, who, pid: Number(pid), startTime, boot }
}
