import type { EnsureLocale } from '#gen/hive/v1/steps_host.ts'
import { HiveError } from '../../proto/errors.ts'
import { run } from '../adapters/command.ts'
import { exists, readFileState, readText, rootFile, writeFileAtomic } from '../adapters/files.ts'
import { localeGenLine, normalLocale } from '../adapters/locale.ts'
import { packageSystem } from '../adapters/os.ts'
import { installPackages } from '../adapters/packages.ts'
import { setVariable } from '../adapters/variables-file.ts'
import { workOf } from './ensure-packages.ts'
import { change, type Executor, ok } from './executor.ts'

export const ensureLocale: Executor<EnsureLocale> = {
  // It may install packages.
  exclusive: () => 'packages',

  async check({ locale }) {
    if (!(await isAvailable(locale))) return change(`this host has no locale ${locale}`, '', locale)
    const file = await defaultsFile()
    const now = /^LANG=(.*)$/m.exec(await readText(file))?.[1]?.replaceAll('"', '') ?? ''
    return now === locale ? ok : change(`${file} says ${now === '' ? 'nothing' : now}`, now, locale)
  },

  async apply({ locale }, context) {
    if (!(await isAvailable(locale))) {
      const system = await packageSystem()
      const language = locale.split(/[_.@]/)[0] ?? locale
      if (system === 'dnf') await installPackages(system, [`glibc-langpack-${language}`], workOf(context))
      else if (system === 'apt') {
        if (!(await exists('/usr/sbin/locale-gen'))) await installPackages(system, ['locales'], workOf(context))
        const line = localeGenLine(locale)
        const list = await readText('/etc/locale.gen')
        if (!list.split('\n').includes(line))
          await writeFileAtomic('/etc/locale.gen', `${list}${list === '' || list.endsWith('\n') ? '' : '\n'}${line}\n`, rootFile)
        await run(['locale-gen'], { signal: context.signal, timeout: 300_000, onLine: (output) => context.log(output) })
      }
      if (!(await isAvailable(locale)))
        throw new HiveError('not-found', `this host can't make the locale ${locale}`, { hint: 'write it as ja_JP.utf8 or en_US.utf8' })
    }
    const file = await defaultsFile()
    const state = await readFileState(file)
    await writeFileAtomic(file, setVariable(state?.content.toString('utf8') ?? '', 'LANG', locale), state ?? rootFile)
  },
}

const defaultsFile = async (): Promise<string> => ((await packageSystem()) === 'apt' ? '/etc/default/locale' : '/etc/locale.conf')

async function isAvailable(locale: string): Promise<boolean> {
  const { stdout } = await run(['locale', '-a'], { readOnly: true })
  const wanted = normalLocale(locale)
  return stdout.split('\n').some((line) => normalLocale(line.trim()) === wanted)
}
