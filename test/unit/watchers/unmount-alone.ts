/**
 * Run in a mount namespace of its own: mounts DEVICE at FOLDER, lets the supervisor unmount it while a file is open and again after it was
 * closed, and prints what became of each as JSON.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { join } from 'node:path'
import { writable } from '../../../agent/adapters/gate.ts'
import { deviceNumberOf, readMounts } from '../../../agent/adapters/mounts.ts'
import { carryOut } from '../../../agent/watchers/failover/carry-out.ts'
import type { Picture } from '../../../agent/watchers/failover/picture.ts'
import { findings } from '../../../agent/watchers/failover/signatures.ts'
import { dockerOf, majority, taskOf, volumeOf } from './pictures.ts'

const [device = '', folder = ''] = process.argv.slice(2)
execFileSync('mount', ['-w', device, folder])
const number = await deviceNumberOf(device)

/** The role follows the mount, as DRBD's does. */
async function look(): Promise<Picture> {
  const mounts = (await readMounts()).filter((mount) => mount.device === number)
  const docker = { ...dockerOf([], majority(taskOf('data'))), volumes: new Map([['data', { folder, device: '/dev/drbd1' }]]) }
  return { volumes: [volumeOf('data', { role: mounts.length > 0 ? 'Primary' : 'Secondary' }, { mounts })], docker }
}

async function unmount(): Promise<unknown> {
  const [finding] = findings(await look(), 0)
  if (finding === undefined) return 'nothing was found'
  const options = { look, signal: AbortSignal.timeout(30_000), now: () => 0, patience: 2_000 }
  const { kind, lines } = await writable(() => carryOut(finding, options))
  return { signature: finding.signature, kind, lines, mounted: (await look()).volumes[0]?.mounts.length }
}

const file = openSync(join(folder, 'open'), 'w')
const busy = await unmount()
closeSync(file)
process.stdout.write(JSON.stringify([busy, await unmount()]))
