/** The host's time zone, which can change while the agent runs; the process would keep the one it started with. */
import { readlink } from 'node:fs/promises'

/** A name of the tz database from what /etc/localtime leads to; undefined where it is another file. Pure. */
export const zoneOfLink = (target: string): string | undefined => /\/zoneinfo\/(?:posix\/|right\/)?([A-Za-z][\w+\-/]*)$/.exec(target)?.[1]

/** Lets local times of this process be the host's as it is now. */
export async function followTimeZone(): Promise<void> {
  const target = await readlink('/etc/localtime').catch(() => '')
  const zone = zoneOfLink(target)
  // Node.js takes notice of an assignment, and reads its zone anew.
  if (zone !== undefined && zone !== process.env['TZ']) process.env['TZ'] = zone
}
