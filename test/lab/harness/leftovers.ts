/** What a stage of hosts left on this machine; asked by the stage's own name, since other stages may stand beside it. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loopNode, loopsBelow } from '../../fake-drbd/lab/loop-devices.ts'

const stateRoot = '/var/lib/hive-nspawn'
const groupRoot = '/sys/fs/cgroup'

/**
 * The names under which anything of the stage can be found on this machine. `namespace`: what CONTEXT_DIR/netns holds; `disks`: the folder of
 * the files behind its loop devices, where it has some.
 */
export function leftovers(namespace: string, disks?: string): readonly string[] {
  const id = namespace.replace(/^hive-/, '')
  const ours = (name: string): boolean => name === namespace || name.startsWith(`${namespace}-`)
  return [
    ...list('/run/netns')
      .filter(ours)
      .map((name) => `namespace ${name}`),
    ...readFileSync('/proc/self/mountinfo', 'utf8')
      .split('\n')
      .filter((line) => line.includes(`${stateRoot}/${id}/`))
      .map((line) => `mount ${line}`),
    ...list('/proc')
      .filter((pid) => /^\d+$/.test(pid) && commandOf(pid).includes(`${stateRoot}/${id}/`))
      .map((pid) => `process ${pid} ${commandOf(pid)}`),
    ...[join(stateRoot, id), join(stateRoot, `${id}.lock`)].filter((path) => existsSync(path)),
    ...list('/run/systemd/nspawn/propagate')
      .filter((name) => name.startsWith(`${id}-`))
      .map((name) => `propagate folder ${name}`),
    ...[groupRoot, ...list(groupRoot).map((name) => join(groupRoot, name))].flatMap((folder) =>
      list(folder)
        .filter((name) => name.startsWith(`hive-${id}-`))
        .map((name) => `control group ${join(folder, name)}`),
    ),
    ...(disks === undefined ? [] : loopsBelow(disks).map((number) => `loop device ${loopNode(number)}`)),
    ...(disks !== undefined && existsSync(disks) ? [disks] : []),
  ]
}

function list(folder: string): readonly string[] {
  try {
    return readdirSync(folder)
  } catch {
    return []
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}
