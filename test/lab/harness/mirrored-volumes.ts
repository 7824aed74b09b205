/** What hosts and the doctor say of mirrored volumes; and the end of a site that has some. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FakeDrbd } from '../../fake-drbd/lab/start.ts'
import { eventually, eventuallyNone, patience } from './eventually.ts'
import type { LabSite } from './lab-site.ts'
import { leftovers } from './leftovers.ts'

/** Waits until every copy is there, connected and up to date, as each host sees it. For a volume of which every host has a disk. */
export async function whole(site: LabSite, hosts: readonly string[], volume: string): Promise<void> {
  const wanted = hosts.map(() => 'UpToDate').join('/')
  await eventually(`${volume} is whole`, patience, async () => {
    const seen = await Promise.all(hosts.map((host) => site.onHost(host, `drbdadm dstate ${volume}`)))
    return seen.every((states) => states.trim() === wanted)
  }).catch(async (error: unknown) => {
    const seen = await Promise.all(hosts.map((host) => site.onHost(host, `drbdsetup status ${volume}`).catch(String)))
    throw new Error(seen.join('\n'), { cause: error })
  })
}

/** The bad states that the doctor names, `STATE HOST…`. `options`: what it is told to do before. */
export async function doctor(site: LabSite, volume: string, ...options: readonly string[]): Promise<readonly string[]> {
  const { result } = await site.succeed(['doctor', volume, ...options])
  const { findings } = result as { readonly findings: readonly { readonly state: string; readonly hosts: readonly string[] }[] }
  return findings.map(({ state, hosts }) => [state, ...hosts].join(' '))
}

/** Waits until the doctor has nothing to name. */
export const healthy = (site: LabSite, volume: string): Promise<void> =>
  eventuallyNone(`the doctor finds nothing wrong with ${volume}`, () => doctor(site, volume))

/** Takes the site and its fake DRBD away, and sees that nothing of them is left. */
export async function endMirrored(site: LabSite, drbd: FakeDrbd): Promise<void> {
  const namespace = readFileSync(join(site.contextDir, 'netns'), 'utf8').trim()
  await site.destroy()
  await drbd.stop()
  assert.deepEqual(leftovers(namespace, drbd.folder), [])
}
