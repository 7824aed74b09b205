import path from 'node:path'
import type { EnsureTimezone } from '#gen/hive/v1/steps_host.ts'
import { exists, linkTarget, readFileState, rootFile, writeFileAtomic, writeLinkAtomic } from '../adapters/files.ts'
import { blocked, change, type Executor, ok } from './executor.ts'

const zones = '/usr/share/zoneinfo'
const localtime = '/etc/localtime'
/** Debian's second place for it. */
const timezoneFile = '/etc/timezone'

export const ensureTimezone: Executor<EnsureTimezone> = {
  async check({ timezone }) {
    if (path.normalize(timezone).startsWith('..') || path.isAbsolute(timezone)) return blocked(`"${timezone}" is no name of the time zone database`)
    const known = await exists(zones)
    if (known && !(await exists(path.join(zones, timezone))))
      return blocked(`this host knows no time zone "${timezone}"`, 'write a name such as Asia/Tokyo or UTC; see timedatectl list-timezones')
    const now = await linkedZone()
    if (now !== timezone) return change(`the time zone is ${now === '' ? 'not set' : now}`, now, timezone)
    const written = (await readFileState(timezoneFile))?.content.toString('utf8').trim()
    if (written !== undefined && written !== timezone) return change(`${timezoneFile} says ${written}`, written, timezone)
    return ok
  },

  async apply({ timezone }) {
    if ((await linkedZone()) !== timezone) await writeLinkAtomic(localtime, path.join('..', zones, timezone))
    if (await exists(timezoneFile)) await writeFileAtomic(timezoneFile, `${timezone}\n`, rootFile)
  },
}

async function linkedZone(): Promise<string> {
  const target = await linkTarget(localtime)
  if (target === undefined) return ''
  const absolute = path.resolve('/etc', target)
  return absolute.startsWith(`${zones}/`) ? absolute.slice(zones.length + 1) : ''
}
