/**
 * The text of /etc/drbd.d/NAME.res: what DRBD is told of a mirrored volume. Pure, and the same bytes for all hosts of the volume, so that
 * files can be compared. Numbers without a unit are in DRBD's own: tenths of seconds for timeouts, KiB/s for rates.
 *
 * Left out on purpose: disk-timeout (can panic a kernel), quorum-minimum-redundancy (writing would stop with the second disk although a
 * majority is there), csums-alg (takes equal sums for equal blocks), fencing and handlers (quorum does their work), any protocol but C.
 */
import type { DrbdNode } from '#gen/hive/v1/steps_storage.ts'
import { HiveError } from '../../../proto/errors.ts'

export interface ResourceFileSpec {
  /** Of resource, logical volume and docker volume. */
  readonly name: string
  readonly minor: number
  readonly port: number
  readonly volumeGroup: string
  /** Unset or "": not thin. Only a thin volume is known to read zeros where it was discarded. */
  readonly thinPool?: string
  readonly nodes: readonly DrbdNode[]
  /** At most 63 characters, the longest that DRBD takes. */
  readonly sharedSecret: string
}

type Line = readonly [setting: string, why: string]

const options: readonly Line[] = [
  ['quorum majority', 'only the side with more than half of the hosts writes: data never comes apart'],
  ['on-no-quorum io-error', 'a service that lost the majority fails and is started elsewhere, instead of hanging'],
  ['on-no-data-accessible io-error', 'the same where no disk with good data can be reached'],
  ['auto-promote yes', 'mounting makes this host the one that writes, unmounting ends it: docker does no more'],
  ['auto-promote-timeout 200', '20 s: docker mounts once, and a container that is stopped elsewhere may take 10 s to end'],
]

const net: readonly Line[] = [
  ['protocol C', 'a write is done when it is on all connected disks'],
  ['cram-hmac-alg sha256', 'who does not know the secret is not let in'],
  ['after-sb-0pri disconnect', 'data that came apart is brought together by a person who saw the evidence'],
  ['after-sb-1pri disconnect', ''],
  ['after-sb-2pri disconnect', ''],
  ['rr-conflict retry-connect', 'a host cut off with the volume mounted asks once a second, and joins when that mount is gone; nothing is discarded'],
  ['ping-int 10', '10 s: the longest that an idle connection goes unchecked; a promotion asks at once'],
  ['ping-timeout 10', '1 s: a host that pauses for half a second is not cut off'],
  ['verify-alg crc32c', 'for drbdadm verify: finds what a disk lost, at little cost'],
  ['max-buffers 16000', 'pages under way to one peer: a resync keeps fast disks busy'],
  ['max-epoch-size 16000', 'writes between two barriers, likewise'],
  ['sndbuf-size 1048576', '1 MiB: writes are not held up by a full send buffer'],
]

const disk: readonly Line[] = [
  ['on-io-error detach', 'a broken disk is given up, and the service goes on with the disks of the others'],
  ['disk-flushes yes', 'what is acknowledged survives a power cut'],
  ['md-flushes yes', ''],
  ['c-plan-ahead 1', 'a resync adapts its rate every 0.1 s: hosts are close to each other'],
  ['c-fill-target 1M', 'as much as a resync has under way'],
  ['c-max-rate 1024000', '1000 MiB/s: a resync takes what services leave'],
]

/** The pool's chunk, as volume groups are made. */
const thinDisk: readonly Line[] = [['rs-discard-granularity 1048576', '1 MiB, a chunk of the pool: a resync does not fill what was never written']]

/** Throws HiveError 'invalid-input' for what DRBD would take and misread: a name or secret with quotes, node ids that are not unique. */
export function renderResource(spec: ResourceFileSpec): string {
  check(spec)
  const nodes = [...spec.nodes].sort((a, b) => a.nodeId - b.nodeId)
  const thin = spec.thinPool !== undefined && spec.thinPool !== ''
  return [
    '# Made by hive; changes are overwritten.',
    `resource "${spec.name}" {`,
    ...section('options', options),
    ...section('net', [...net.slice(0, 2), [`shared-secret "${spec.sharedSecret}"`, ''], ...net.slice(2)]),
    ...section('disk', [...disk, ...(thin ? thinDisk : [])]),
    ...nodes.flatMap((node) => host(spec, node)),
    '  connection-mesh {',
    `    hosts ${nodes.map(({ name }) => `"${name}"`).join(' ')};`,
    '  }',
    '}',
    '',
  ].join('\n')
}

const section = (name: string, lines: readonly Line[]): string[] => {
  const width = Math.max(...lines.filter(([, why]) => why !== '').map(([setting]) => setting.length)) + 1
  return [`  ${name} {`, ...lines.map(([setting, why]) => `    ${why === '' ? `${setting};` : `${`${setting};`.padEnd(width)} # ${why}`}`), '  }']
}

const host = (spec: ResourceFileSpec, node: DrbdNode): string[] => [
  `  on "${node.name}" {`,
  `    node-id ${node.nodeId};`,
  `    address ipv4 ${node.address}:${spec.port};`,
  `    device minor ${spec.minor};`,
  ...(node.diskless ? ['    disk none;'] : [`    disk "/dev/${spec.volumeGroup}/${spec.name}";`, '    meta-disk internal;']),
  '  }',
]

const longestSecret = 63
const lastNodeId = 31

function check({ name, nodes, sharedSecret, volumeGroup }: ResourceFileSpec): void {
  const wrong = (message: string): never => {
    throw new HiveError('invalid-input', `resource ${name}: ${message}`)
  }
  if (!/^[A-Za-z0-9][A-Za-z0-9_.+-]*$/.test(name)) wrong('a name is made of letters, digits, _ . + and -')
  if (!/^[A-Za-z0-9_.+-]+$/.test(volumeGroup)) wrong(`${volumeGroup} is no volume group`)
  if (!/^[!#-[\]-~]+$/.test(sharedSecret) || sharedSecret.length > longestSecret)
    wrong(`its secret has to be 1 to ${longestSecret} characters without blanks and quotes`)
  if (nodes.length === 0) wrong('it has no host')
  for (const node of nodes) {
    if (!/^[A-Za-z0-9][A-Za-z0-9.-]*$/.test(node.name)) wrong(`${node.name} is no host name`)
    if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(node.address)) wrong(`${node.address} of ${node.name} is no IPv4 address`)
    if (!Number.isInteger(node.nodeId) || node.nodeId < 0 || node.nodeId > lastNodeId) wrong(`${node.nodeId} of ${node.name} is no node id`)
  }
  if (new Set(nodes.map(({ nodeId }) => nodeId)).size < nodes.length) wrong('two hosts have the same node id')
  if (new Set(nodes.map((node) => node.name)).size < nodes.length) wrong('a host is named twice')
}
