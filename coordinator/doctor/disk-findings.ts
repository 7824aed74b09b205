/** What is wrong with a volume's disks, roles and files, host by host. Pure. */
import type { VolumeExamination } from '#gen/hive/v1/doctor.ts'
import { type Finding, finding, type Repair, repairOf } from './finding.ts'
import { causeOf } from './kernel-cause.ts'
import { answered, deviceOf, stateLine, type VolumePicture } from './picture.ts'

const buildVolumes = 'hivecoord build-volumes writes the file and brings the resource up'

/** How generation identifiers of metadata begin that nobody has written to since it was made. */
const justCreated = '0000000000000004'

export function diskFindings(picture: VolumePicture): readonly Finding[] {
  return [
    ...[...picture.hosts].flatMap(([host, seen]) => (seen === undefined ? [] : ofHost(picture, host, seen))),
    ...ofFiles(picture),
    ...ofAllDisks(picture),
    ...ofRoles(picture),
  ]
}

function ofHost(picture: VolumePicture, host: string, seen: VolumeExamination): readonly Finding[] {
  const volume = picture.name
  const about = { volume, hosts: [host] }
  if (seen.file === undefined) {
    return [
      finding({
        ...about,
        state: 'no-resource-file',
        title: `${host} has no resource file of ${volume}`,
        evidence: [`/etc/drbd.d/${volume}.res is not there`],
        advice: buildVolumes,
      }),
    ]
  }
  if (seen.file.error !== '') {
    return [
      finding({
        ...about,
        state: 'bad-resource-file',
        title: `drbdadm does not read ${volume}'s resource file on ${host}: its commands fail for every resource there`,
        evidence: [seen.file.error],
        advice: buildVolumes,
      }),
    ]
  }
  const mismatch = nodeIdMismatch(host, seen)
  if (mismatch !== undefined) return [finding({ ...about, ...mismatch })]
  const device = deviceOf(seen)
  if (seen.status === undefined || device === undefined) return [notUp(picture, host, seen)]
  const found: Finding[] = []
  if (device.diskState === 'Diskless' && !device.client) found.push(withoutDisk(picture, host, seen))
  const readOnly = seen.holders.filter(({ mountPoint, readOnly }) => mountPoint !== '' && readOnly)
  if (readOnly.length > 0 && seen.status.role === 'Secondary') {
    found.push(
      finding({
        ...about,
        state: 'read-only-mount',
        title: `${volume} is mounted read-only on ${host}: a container there cannot write, and no other host can be Primary`,
        evidence: readOnly.map(({ mountPoint }) => `mounted read-only at ${mountPoint}, role:Secondary`),
        advice: `stop what uses it there (hivecoord node containers ${host}); once it is unmounted the service starts anew where it may write`,
      }),
    )
  }
  const port = portTaken(volume, host, seen)
  if (port !== undefined) found.push(port)
  if (halfDown(seen)) {
    found.push(
      finding({
        ...about,
        state: 'half-down',
        title: `${volume} on ${host} has its disk and no connection: a down was refused half way`,
        evidence: [stateLine(host, seen), ...seen.adjustments],
        repair: repairOf(`make the connections of ${volume} on ${host} anew`, { kind: 'adjust', host }),
      }),
    )
  }
  return found
}

/** Told by the log ("ambiguous node id") or by the metadata itself; the error that DRBD answers then invites to destroy good metadata. */
function nodeIdMismatch(host: string, seen: VolumeExamination): Pick<Finding, 'state' | 'title' | 'evidence' | 'advice'> | undefined {
  const written = seen.metadata?.nodeId ?? -1
  const asked = seen.file?.nodes.find(({ name }) => name === host)?.nodeId
  const line = seen.kernelLines.findLast((text) => /ambiguous node id/.test(text))
  const ofLog = line !== undefined && deviceOf(seen)?.diskState === 'Diskless'
  if (!(written >= 0 && asked !== undefined && written !== asked) && !ofLog) return undefined
  return {
    state: 'node-id-mismatch',
    title: `the disk on ${host} belongs to another node id than its resource file says; its data is good`,
    evidence: [...(written >= 0 ? [`metadata: node id ${written}, resource file: ${asked ?? '?'}`] : []), ...(line === undefined ? [] : [line])],
    advice: 'never create-md here. The node ids recorded with the stage must be those on the disks: hivecoord plan --only build-volumes says which differ',
  }
}

function notUp(picture: VolumePicture, host: string, seen: VolumeExamination): Finding {
  const { name: volume } = picture
  if (picture.diskful.has(host) && !seen.logicalVolume) {
    return finding({
      state: 'disk-missing',
      volume,
      hosts: [host],
      title: `the disk of ${volume} is not there on ${host}`,
      evidence: [`the logical volume that /etc/drbd.d/${volume}.res names does not exist`],
      advice:
        'is the disk attached, the volume group active (vgs, vgchange -ay)? Where the disk was replaced, hivecoord build-volumes makes it anew and it fills by itself',
    })
  }
  if (picture.diskful.has(host) && hasNoMetadata(seen)) return missingMetadata(picture, host, seen)
  return finding({
    state: 'not-up',
    volume,
    hosts: [host],
    title: `${volume} is not up on ${host}`,
    evidence: [`${host}: not configured in the kernel, and its resource file is there`],
    repair: repairOf(`bring ${volume} up on ${host}`, { kind: 'up', host }),
  })
}

/** Not where it could not be read: a disk that fails is no empty disk. */
const hasNoMetadata = ({ metadata }: VolumeExamination): boolean => metadata !== undefined && !metadata.found && metadata.error === ''

const missingMetadata = ({ name: volume }: VolumePicture, host: string, seen: VolumeExamination): Finding =>
  finding({
    state: 'missing-metadata',
    volume,
    hosts: [host],
    title: `the disk of ${volume} on ${host} has no metadata`,
    evidence: [stateLine(host, seen), 'drbdmeta finds no metadata on it'],
    advice:
      'an empty new disk: remove its logical volume by hand (lvremove) and run hivecoord build-volumes, it fills from its peers. A disk that held data: look first',
  })

function withoutDisk(picture: VolumePicture, host: string, seen: VolumeExamination): Finding {
  const { name: volume } = picture
  if (!seen.logicalVolume) {
    return finding({
      state: 'disk-missing',
      volume,
      hosts: [host],
      title: `${volume} runs without its disk on ${host}: the disk is gone`,
      evidence: [stateLine(host, seen), 'its logical volume does not exist'],
      advice: 'replace the disk, then hivecoord build-volumes: it is made anew and fills by itself',
    })
  }
  if (hasNoMetadata(seen)) return missingMetadata(picture, host, seen)
  return finding({
    state: 'disk-detached',
    volume,
    hosts: [host],
    title: `${volume} runs without its disk on ${host}: it was detached, which an I/O error does by itself`,
    evidence: [stateLine(host, seen), ...seen.kernelLines.filter((line) => /I\/O error|-> Failed|detach/i.test(line)).slice(-3)],
    advice: 'does the disk work? dmesg and smartctl tell; what was written meanwhile is copied to it',
    repair: repairOf(`attach the disk of ${volume} on ${host} again`, { kind: 'adjust', host }),
  })
}

/** DRBD gives the connection up when it cannot listen, and does not try again by itself. */
function portTaken(volume: string, host: string, seen: VolumeExamination): Finding | undefined {
  const cause = (seen.status?.connections ?? [])
    .filter(({ state }) => state === 'StandAlone')
    .map(({ name }) => causeOf(seen.kernelLines, name))
    .find((known) => known?.cause === 'port')
  if (cause === undefined) return undefined
  const { portOwner, file } = seen
  return finding({
    state: 'port-taken',
    volume,
    hosts: [host],
    title: `port ${file?.port ?? ''} of ${volume} is taken on ${host} by something else`,
    evidence: [cause.line, ...(portOwner === '' ? ['nothing else listens on it now'] : [`${portOwner} listens on it`])],
    advice: portOwner === '' ? '' : `end ${portOwner}, or give it another port; then the doctor connects again`,
    ...(portOwner === '' ? { repair: repairOf(`connect ${volume} on ${host} again`, { kind: 'adjust', host }) } : {}),
  })
}

const halfDown = (seen: VolumeExamination): boolean =>
  seen.status !== undefined && seen.status.connections.length === 0 && (seen.file?.nodes.length ?? 0) > 1 && deviceOf(seen)?.diskState !== 'Diskless'

function ofFiles(picture: VolumePicture): readonly Finding[] {
  const sums = Map.groupBy(
    answered(picture).filter(([, { file }]) => file !== undefined && file.error === ''),
    ([, { file }]) => file?.sha256 ?? '',
  )
  if (sums.size < 2) return []
  const groups = [...sums.values()].toSorted((a, b) => b.length - a.length)
  return [
    finding({
      state: 'files-differ',
      volume: picture.name,
      hosts: groups.slice(1).flatMap((group) => group.map(([host]) => host)),
      title: `the hosts have different resource files of ${picture.name}`,
      evidence: groups.map((group) => `${group.map(([host]) => host).join(', ')}: ${group[0]?.[1].file?.sha256.slice(0, 12) ?? ''}`),
      advice: 'hivecoord build-volumes writes the same one everywhere and adjusts',
    }),
  ]
}

function ofAllDisks(picture: VolumePicture): readonly Finding[] {
  const disks = answered(picture).flatMap(([host, seen]) => {
    const device = deviceOf(seen)
    return device === undefined || device.diskState === 'Diskless' ? [] : [{ host, seen, state: device.diskState }]
  })
  const volume = picture.name
  const whole = [...picture.diskful].every((host) => picture.hosts.get(host) !== undefined)
  const lines = disks.map(({ host, seen }) => stateLine(host, seen))
  if (disks.length === 0) return []
  if (disks.every(({ state }) => state === 'Inconsistent')) {
    const fresh = disks.every(({ seen }) => seen.metadata === undefined || seen.metadata.currentUuid.startsWith(justCreated))
    const filling = disks.some(({ seen }) =>
      seen.status?.connections.some((connection) => connection.peerDevices.some(({ peerDiskState }) => peerDiskState === 'UpToDate')),
    )
    if (filling) return []
    const about = { volume, hosts: disks.map(({ host }) => host), evidence: lines }
    if (fresh && whole && disks.some(({ seen }) => seen.metadata !== undefined))
      return [
        finding({
          ...about,
          state: 'never-made',
          title: `${volume} has no data yet: its first generation was not made`,
          advice: 'hivecoord build-volumes finishes it once all its hosts are connected',
        }),
      ]
    return [
      finding({
        ...about,
        state: 'inconsistent-only',
        title: `no host that answers has a whole copy of ${volume}`,
        advice: `${whole ? '' : 'a host with a whole copy may be among those that do not answer: bring them back first. '}Else: restore from the backup, or declare one copy valid and check what is in it`,
        choices: declaring(
          picture,
          disks.map(({ host }) => host),
        ),
      }),
    ]
  }
  if (disks.every(({ state }) => state === 'Outdated')) {
    return [
      finding({
        state: 'all-outdated',
        volume,
        hosts: disks.map(({ host }) => host),
        title: `every copy of ${volume} that answers is outdated: none may be used`,
        evidence: [...lines, ...disks.flatMap(({ host, seen }) => (seen.metadata?.found === true ? [`${host}: generation ${seen.metadata.currentUuid}`] : []))],
        advice: whole
          ? 'declare the copy valid that was written to last'
          : 'a host with a newer copy may be among those that do not answer: bring them back first',
        choices: declaring(
          picture,
          disks.map(({ host }) => host),
        ),
      }),
    ]
  }
  return []
}

const declaring = ({ name }: VolumePicture, hosts: readonly string[]): ReadonlyMap<string, Repair> =>
  new Map(
    hosts.map((host) => [
      host,
      { title: `declare ${host}'s copy of ${name} to be its data`, actions: [{ kind: 'declare-valid' as const, host }], discards: true },
    ]),
  )

function ofRoles(picture: VolumePicture): readonly Finding[] {
  const volume = picture.name
  const primaries = answered(picture).filter(([, seen]) => seen.status?.role === 'Primary')
  const found: Finding[] = []
  if (primaries.length > 1) {
    found.push(
      finding({
        state: 'two-primaries',
        volume,
        hosts: primaries.map(([host]) => host),
        title: `${volume} is Primary on ${primaries.length} hosts at once`,
        evidence: primaries.map(([host, seen]) => stateLine(host, seen)),
        advice: 'the one without quorum cannot write: stop the containers that use the volume there, its agent does so by itself unless it is held',
      }),
    )
  }
  for (const [host, seen] of primaries) {
    const device = deviceOf(seen)
    if (device?.quorum === false && primaries.length === 1) {
      found.push(
        finding({
          state: 'no-quorum',
          volume,
          hosts: [host],
          title: `${volume} is in use on ${host}, which has lost quorum: writes fail`,
          evidence: [stateLine(host, seen)],
          advice: 'bring more of its hosts back; the container must be started anew afterwards',
        }),
      )
    } else if (seen.holders.length === 0 && device?.open === false && device.quorum && primaries.length === 1) {
      found.push(
        finding({
          state: 'idle-primary',
          volume,
          hosts: [host],
          title: `${volume} is Primary on ${host} and nobody uses it: no other host can mount it`,
          evidence: [stateLine(host, seen), 'neither mounted nor open'],
          repair: repairOf(`let ${volume} go on ${host}`, { kind: 'demote', host }),
        }),
      )
    }
  }
  return found
}
