import type { EnsureSelinux } from '#gen/hive/v1/steps_host.ts'
import { run } from '../adapters/command.ts'
import { exists, readFileState, readText, writeFileAtomic } from '../adapters/files.ts'
import { setVariable } from '../adapters/variables-file.ts'
import { blocked, change, type Executor, ok } from './executor.ts'

const config = '/etc/selinux/config'
const enforceFile = '/sys/fs/selinux/enforce'
const modes = ['disabled', 'permissive', 'enforcing']

/** "disabled" is permissive until the next boot: a running kernel can't leave SELinux. */
export const ensureSelinux: Executor<EnsureSelinux> = {
  async check({ mode }) {
    if (!modes.includes(mode)) return blocked(`"${mode}" is no mode of SELinux`, `write one of ${modes.join(', ')}`)
    if (!(await exists(config))) return ok
    const written = /^SELINUX=(\S+)/m.exec(await readText(config))?.[1] ?? ''
    if (written !== mode) return change(`${config} says ${written === '' ? 'nothing' : written}`, written, mode)
    const now = await runtimeMode()
    return now === undefined || now === runtimeOf(mode) ? ok : change(`SELinux is ${now} now`, now, runtimeOf(mode))
  },

  async apply({ mode }, context) {
    const state = await readFileState(config)
    if (state === undefined) return
    const text = state.content.toString('utf8')
    const edited = setVariable(text, 'SELINUX', mode)
    if (edited !== text) await writeFileAtomic(config, edited, state)
    const now = await runtimeMode()
    if (now !== undefined && now !== runtimeOf(mode)) await run(['setenforce', mode === 'enforcing' ? '1' : '0'], { signal: context.signal })
  },
}

const runtimeOf = (mode: string): string => (mode === 'enforcing' ? 'enforcing' : 'permissive')

/** undefined where the kernel runs without SELinux. */
async function runtimeMode(): Promise<string | undefined> {
  const enforce = (await readText(enforceFile)).trim()
  return enforce === '' ? undefined : enforce === '1' ? 'enforcing' : 'permissive'
}
