import * as fs from 'node:fs/promises'
import type { EnsureSysctl } from '#gen/hive/v1/steps_host.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { readText, rootFile, writeFileAtomic } from '../adapters/files.ts'
import { assertMayMutate } from '../adapters/gate.ts'
import { change, type Executor, ok } from './executor.ts'

/** Keys that this kernel does not have (a module not loaded yet) are written to the file and take effect at boot. */
export const ensureSysctl: Executor<EnsureSysctl> = {
  async check(spec) {
    const path = pathOf(spec)
    const differing = await differingValues(spec)
    const fileDiffers = (await readText(path)) !== render(spec.values)
    if (!fileDiffers && differing.length === 0) return ok
    const reason = [...(fileDiffers ? [`${path} differs`] : []), ...differing.map((key) => `${key.name} is ${key.now}`)].join('; ')
    return change(reason, differing.map((key) => `${key.name} = ${key.now}`).join('\n'), render(spec.values).trimEnd())
  },

  async apply(spec) {
    await writeFileAtomic(pathOf(spec), render(spec.values), rootFile)
    for (const { name, wanted } of await differingValues(spec)) {
      assertMayMutate(`set ${name}`)
      try {
        await fs.writeFile(procPath(name), wanted)
      } catch (thrown) {
        throw new HiveError('command-failed', `${name} can't be set to ${wanted}: ${messageOf(thrown)}`, { cause: thrown })
      }
    }
  },
}

const pathOf = (spec: EnsureSysctl): string => `/etc/sysctl.d/${spec.file}`

/** The file of sysctl.d, sorted by key. */
export const render = (values: Readonly<Record<string, string>>): string =>
  Object.keys(values)
    .sort()
    .map((key) => `${key} = ${values[key]}\n`)
    .join('')

/** net.ipv4.conf.eth0/1.forwarding → /proc/sys/net/ipv4/conf/eth0.1/forwarding, as sysctl(8) swaps dots and slashes. */
export const procPath = (key: string): string => `/proc/sys/${key.replace(/[./]/g, (character) => (character === '.' ? '/' : '.'))}`

const words = (value: string): string => value.trim().split(/\s+/).join(' ')

async function differingValues(spec: EnsureSysctl): Promise<{ name: string; now: string; wanted: string }[]> {
  const differing: { name: string; now: string; wanted: string }[] = []
  for (const [name, wanted] of Object.entries(spec.values)) {
    let now: string
    try {
      now = words(await fs.readFile(procPath(name), 'utf8'))
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') continue
      throw thrown
    }
    if (now !== words(wanted)) differing.push({ name, now, wanted: words(wanted) })
  }
  return differing
}
