/** Examinations as agents would have sent them in the recorded states of DRBD 9.3.3 (test/fixtures/drbd9). */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import type { Examination, ResourceFile, VolumeExamination } from '#gen/hive/v1/doctor.ts'
import { parseDump } from '../../../agent/adapters/drbd/parse-dump.ts'
import { parseStatus } from '../../../agent/adapters/drbd/status.ts'
import { pictureOf, type VolumePicture } from '../../../coordinator/doctor/picture.ts'

const folder = new URL('../../fixtures/drbd9/', import.meta.url).pathname
export const hosts = ['s-hive0.pdns', 's-hive1.pdns', 's-hive2.pdns']

/** `moment`: a recording within the state, '' for its last one. Hosts that were not recorded did not answer. */
export function recordedPicture(state: string, moment: string, volume = 'hive', diskful: readonly string[] = hosts): VolumePicture {
  const examinations = new Map<string, Examination>()
  for (const host of hosts) {
    const short = host.split('.')[0]
    const configured = [`${state}/${short}/${moment}`, `${state}/${short}`, `36-all-up-two-resources/${short}`]
    const dump = configured
      .map((name) => `${folder}${name}/drbdadm-dump.txt`)
      .find((path) => existsSync(path) && readFileSync(path, 'utf8').includes(`resource ${volume} {`))
    const seen = examinationOf(`${folder}${state}/${short}/${moment}`, volume, dump === undefined ? '' : readFileSync(dump, 'utf8'))
    if (seen !== undefined) examinations.set(host, { host, problems: [], volumes: [seen] })
  }
  return pictureOf({ name: volume, diskful: new Set(diskful) }, hosts, examinations)
}

function examinationOf(path: string, volume: string, dump: string): VolumeExamination | undefined {
  const read = (name: string): string | undefined => (existsSync(`${path}/${name}`) ? readFileSync(`${path}/${name}`, 'utf8') : undefined)
  const status = read('drbdsetup-status-verbose-statistics.json')
  if (status === undefined) return undefined
  const minor = volume === 'hive' ? 1 : 2
  const attached = parseStatus(status).find(({ name }) => name === volume)
  return {
    name: volume,
    status: attached,
    file: fileOf(dump, volume),
    logicalVolume: true,
    metadata: generationOf(read('get-gi.txt') ?? '', volume, attached?.devices.some(({ diskState, client }) => diskState !== 'Diskless' || client) === true),
    kernelLines: (read('dmesg-drbd-tail.txt') ?? '').split('\n').filter((line) => line.includes(`drbd ${volume}`)),
    holders: (read('proc-mounts.txt') ?? '')
      .split('\n')
      .map((line) => line.split(' '))
      .filter(([device]) => device === `/dev/drbd${minor}`)
      .map(([, mountPoint = '', , options = '']) => ({ pid: 0, command: '', mountPoint, readOnly: options.split(',').includes('ro') })),
    portOwner: '',
    adjustments: [],
  }
}

/** `drbdadm show-gi` was recorded of hive alone. */
function generationOf(text: string, volume: string, hasDiskOrNeedsNone: boolean): VolumeExamination['metadata'] {
  const currentUuid = /^([0-9A-F]{16}):/m.exec(text)?.[1]
  if (volume !== 'hive') return undefined
  if (currentUuid !== undefined) return { found: true, nodeId: -1, maxPeers: 7, currentUuid, error: '' }
  return hasDiskOrNeedsNone && text === '' ? undefined : { found: false, nodeId: -1, maxPeers: 0, currentUuid: '', error: '' }
}

function fileOf(dump: string, volume: string): ResourceFile | undefined {
  const at = dump.indexOf(`\nresource ${volume} {`)
  if (at === -1) return undefined
  const text = dump.slice(at, dump.indexOf('\n}', at))
  const { minor, port, nodes } = parseDump(text)
  return { sha256: createHash('sha256').update(text).digest('hex'), error: '', minor, port, nodes: [...nodes] }
}
