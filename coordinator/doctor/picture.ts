/** All that is known of one volume at one moment: each host's examination, side by side. */
import type { Examination, VolumeExamination } from '#gen/hive/v1/doctor.ts'
import type { DrbdConnection, DrbdDevice, DrbdPeerDevice } from '#gen/hive/v1/drbd_status.ts'

export interface VolumePicture {
  readonly name: string
  /** Every host that takes part in the volume by the inventory, in its order, with what it answered; undefined: it did not. */
  readonly hosts: ReadonlyMap<string, VolumeExamination | undefined>
  /** Hosts that hold a disk of it by the inventory. */
  readonly diskful: ReadonlySet<string>
  /** The same a few seconds before: what does not move between the two stands still. */
  readonly earlier: ReadonlyMap<string, VolumeExamination>
}

export interface VolumeOfSite {
  readonly name: string
  readonly diskful: ReadonlySet<string>
}

/** `examinations`: those that answered, by host; `hosts`: all that should have. */
export function pictureOf(
  volume: VolumeOfSite,
  hosts: readonly string[],
  examinations: ReadonlyMap<string, Examination>,
  earlier: ReadonlyMap<string, Examination> = new Map(),
): VolumePicture {
  const of = (host: string, from: ReadonlyMap<string, Examination>): VolumeExamination | undefined => {
    const examination = from.get(host)
    if (examination === undefined) return undefined
    return examination.volumes.find(({ name }) => name === volume.name) ?? nothing(volume.name)
  }
  const before = hosts.flatMap((host) => {
    const seen = of(host, earlier)
    return seen === undefined ? [] : ([[host, seen]] as const)
  })
  return { ...volume, hosts: new Map(hosts.map((host) => [host, of(host, examinations)])), earlier: new Map(before) }
}

/** A host that answered and knows nothing of the volume. */
const nothing = (name: string): VolumeExamination => ({
  name,
  status: undefined,
  file: undefined,
  logicalVolume: false,
  metadata: undefined,
  kernelLines: [],
  holders: [],
  portOwner: '',
  adjustments: [],
})

/** A volume of ours has one device a resource. */
export const deviceOf = (seen: VolumeExamination | undefined): DrbdDevice | undefined => seen?.status?.devices[0]
export const connectionTo = (seen: VolumeExamination | undefined, peer: string): DrbdConnection | undefined =>
  seen?.status?.connections.find(({ name }) => name === peer)
export const peerDeviceOf = (connection: DrbdConnection | undefined): DrbdPeerDevice | undefined => connection?.peerDevices[0]

/** Hosts that answered, with what they said. */
export const answered = (picture: VolumePicture): readonly (readonly [string, VolumeExamination])[] =>
  [...picture.hosts].flatMap(([host, seen]) => (seen === undefined ? [] : ([[host, seen]] as const)))

/** Each two hosts, once. */
export function pairs(picture: VolumePicture): readonly (readonly [string, string])[] {
  const names = [...picture.hosts.keys()]
  return names.flatMap((one, index) => names.slice(index + 1).map((other) => [one, other] as const))
}

/** "role:Primary disk:UpToDate quorum:no" as drbdadm status writes it. */
export function stateLine(host: string, seen: VolumeExamination): string {
  const device = deviceOf(seen)
  if (seen.status === undefined || device === undefined) return `${host}: not configured`
  const client = device.diskState === 'Diskless' ? ` client:${device.client ? 'yes' : 'no'}` : ''
  return `${host}: role:${seen.status.role} disk:${device.diskState}${client}${device.quorum ? '' : ' quorum:no'}`
}

/** "s-hive0 → s-hive1: StandAlone" */
export function connectionLine(host: string, peer: string, seen: VolumeExamination | undefined): string {
  const connection = connectionTo(seen, peer)
  const state = seen === undefined ? 'does not answer' : (connection?.state ?? 'no such connection')
  const replication = peerDeviceOf(connection)
  const more = replication === undefined || replication.replicationState === 'Off' ? '' : ` ${replication.replicationState}`
  return `${host} → ${peer}: ${state}${more}`
}
