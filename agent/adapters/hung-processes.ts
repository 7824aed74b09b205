/** Storage tools that the kernel does not let go. */
import { readdir, readFile } from 'node:fs/promises'

export interface HungProcess {
  readonly pid: number
  readonly command: string
  /** Seconds since it was started. */
  readonly age: number
}

const storageTools =
  /^(drbdadm|drbdsetup|drbdmeta|lvm|lvs|vgs|pvs|lvcreate|lvextend|lvchange|lvremove|vgchange|mount|umount|mkfs\.\w+|mke2fs|fsck\.\w+|resize2fs|xfs_growfs|blkid|dmsetup)$/
/** Seconds: a tool that waits for a slow disk is not hung yet. */
const patience = 60
/** Of /proc/PID/stat's clock, a second; the same on every Linux that Node.js runs on. */
const ticks = 100

/** Waiting without being interruptible (state D) for at least a minute since they were started, oldest first. */
export async function hungProcesses(proc = '/proc'): Promise<readonly HungProcess[]> {
  const uptime = Number((await readFile(`${proc}/uptime`, 'utf8')).split(' ')[0])
  const pids = (await readdir(proc)).filter((name) => /^\d+$/.test(name))
  const found = await Promise.all(pids.map(async (pid) => parseStat(await readFile(`${proc}/${pid}/stat`, 'utf8').catch(() => ''))))
  return found
    .flatMap((process) =>
      process === undefined || process.state !== 'D' ? [] : [{ pid: process.pid, command: process.command, age: Math.round(uptime - process.started) }],
    )
    .filter(({ command, age }) => storageTools.test(command) && age >= patience)
    .sort((a, b) => b.age - a.age)
}

/** proc(5): the name stands in parentheses and may hold any character. `started`: seconds after boot. */
export function parseStat(text: string): { readonly pid: number; readonly command: string; readonly state: string; readonly started: number } | undefined {
  const end = text.lastIndexOf(')')
  const begin = text.indexOf('(')
  if (begin === -1 || end === -1) return undefined
  const fields = text.slice(end + 2).split(' ')
  return { pid: Number(text.slice(0, begin)), command: text.slice(begin + 1, end), state: fields[0] ?? '', started: Number(fields[19] ?? 0) / ticks }
}
