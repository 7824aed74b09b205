/** A disk as util-linux described it when test/fixtures/disks was recorded. */
import { existsSync, readFileSync } from 'node:fs'
import { type DiskReadings, examineDisk, parseBlkid, parseLsblk, parseSfdisk, parseWipefs } from '../../../agent/adapters/examine-disk.ts'

const folder = new URL('../../fixtures/disks/', import.meta.url)

/** '' where the tool printed nothing. */
export function recorded(state: string, file: string): string {
  const path = new URL(`${state}/${file}`, folder)
  return existsSync(path) ? readFileSync(path, 'utf8') : ''
}

export function recordedReadings(state: string, more: Partial<DiskReadings> = {}): DiskReadings {
  const [block] = parseLsblk(recorded(state, 'lsblk.json'))
  if (block === undefined) throw new Error(`${state} was not recorded`)
  const sfdisk = recorded(state, 'sfdisk.json')
  const table = sfdisk === '' ? undefined : parseSfdisk(sfdisk)
  const signatures = (device: string) => {
    const name = device.replace('/dev/', '')
    return [...new Set([...parseWipefs(recorded(state, `wipefs-${name}.json`)), ...parseBlkid(recorded(state, `blkid-${name}.txt`))])]
  }
  return {
    device: '/dev/nvme0n1',
    block,
    table,
    signatures: signatures('/dev/nvme0n1'),
    claimed: false,
    signaturesAtFirstMebibyte: parseBlkid(recorded(state, 'blkid-1mib.txt')),
    blankEdges: true,
    partitions: new Map((table?.partitions ?? []).map(({ device }) => [device, { signatures: signatures(device), blankEdges: false }])),
    ...more,
  }
}

export const recordedDisk = (state: string, more: Partial<DiskReadings> = {}) => examineDisk(recordedReadings(state, more))
