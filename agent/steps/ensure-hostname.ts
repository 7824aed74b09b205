import { hostname } from 'node:os'
import type { EnsureHostname } from '#gen/hive/v1/steps_host.ts'
import { run } from '../adapters/command.ts'
import { exists, readText, rootFile, writeFileAtomic } from '../adapters/files.ts'
import { change, type Executor, ok } from './executor.ts'

const staticName = '/etc/hostname'
const cloudInit = '/etc/cloud/cloud.cfg.d'
/** Without this cloud-init sets the provider's name again at each boot. */
const preserve = { path: `${cloudInit}/99-hive-hostname.cfg`, content: 'preserve_hostname: true\n' }

export const ensureHostname: Executor<EnsureHostname> = {
  async check(spec) {
    const written = (await readText(staticName)).trim()
    if (written !== spec.name) return change(`${staticName} says "${written}"`, written, spec.name)
    if (hostname() !== spec.name) return change('the kernel has another host name', hostname(), spec.name)
    if ((await exists(cloudInit)) && (await readText(preserve.path)) !== preserve.content)
      return change('cloud-init would set another name at boot', '', preserve.path)
    return ok
  },

  async apply(spec, context) {
    if (await exists(cloudInit)) await writeFileAtomic(preserve.path, preserve.content, rootFile)
    await writeFileAtomic(staticName, `${spec.name}\n`, rootFile)
    if (hostname() !== spec.name) await run(['hostname', spec.name], { signal: context.signal })
  },
}
