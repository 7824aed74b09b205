/**
 * A control group per host in each hierarchy, where no systemd out here makes one: the hosts' systemds would else all
 * work in the same groups and end each other's services.
 */
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'

const top = '/sys/fs/cgroup'
const groupName = (machine: string): string => `hive-${machine}`

/** One folder for cgroup v2, one a hierarchy for v1 and hybrid. */
function hierarchies(): readonly string[] {
  const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')
  return mountinfo
    .split('\n')
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(' ')[4] ?? '')
    .filter((path) => path.startsWith(top))
}

/** Joins the groups named as arguments before "--", then becomes the command. cpuset groups start empty and refuse processes. */
const joinScript = `while [ "$1" != -- ]; do
  mkdir -p "$1"
  for name in cpus mems; do
    if [ -e "$1/cpuset.$name" ] && [ -z "$(cat "$1/cpuset.$name")" ]; then cat "$1/../cpuset.$name" > "$1/cpuset.$name"; fi
  done
  echo $$ > "$1/cgroup.procs" || exit 1
  shift
done
shift
exec "$@"`

/** The command, wrapped so that it runs in groups of its own. */
export function ownGroups(machine: string, command: readonly string[]): readonly string[] {
  return ['sh', '-c', joinScript, 'join-groups', ...hierarchies().map((path) => join(path, groupName(machine))), '--', ...command]
}

/** Removes the groups of a machine that has ended. The kernel needs a moment to let them go. */
export async function removeGroups(machine: string): Promise<void> {
  const folders = hierarchies().map((path) => join(path, groupName(machine)))
  for (let attempt = 0; attempt < 40; attempt++) {
    if (folders.map(removeTree).every((gone) => gone)) return
    await wait(50)
  }
}

function removeTree(folder: string): boolean {
  if (!existsSync(folder)) return true
  try {
    for (const entry of readdirSync(folder, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(folder, entry.name))
    rmdirSync(folder)
    return true
  } catch {
    return false
  }
}
