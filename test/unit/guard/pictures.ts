/** Sites as the guard sees them: whole, and in any state. */
import fc from 'fast-check'
import type { DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import type { HostPicture, NodePicture, ServicePicture, SitePicture, VolumeStates } from '../../../coordinator/guard/picture.ts'
import { nameOf, type Truth, told, truthsOf } from '../drbd/support/truth.ts'

export const image = 'repo:5000/web:1@sha256:1'
export const imageHere = { tags: ['repo:5000/web:1'], digests: ['repo:5000/web@sha256:1'], size: 1n }

export const shortOf = (i: number): string => `h${i}`

export const node = (i: number, given: Partial<NodePicture> = {}): NodePicture => ({
  id: `id${i}`,
  name: shortOf(i),
  role: 'manager',
  availability: 'active',
  state: 'ready',
  leader: i === 0,
  reachability: 'reachable',
  labels: {},
  ...given,
})

export const host = (i: number, given: Partial<HostPicture> = {}): HostPicture => ({
  name: nameOf(i),
  shortName: shortOf(i),
  isHive: true,
  answers: true,
  images: [imageHere],
  ...given,
})

export const service = (name: string, nodes: readonly number[], given: Partial<ServicePicture> = {}): ServicePicture => ({
  name,
  mode: 'replicated',
  image,
  constraints: [],
  volumes: [],
  localVolumes: [],
  hostPorts: [],
  desired: nodes.length,
  tasks: nodes.map((i) => ({ node: shortOf(i), state: 'running', wanted: true })),
  ...given,
})

/** `heard`: hosts whose answer is there. */
export const volume = (name: string, truth: Truth, heard: (i: number) => boolean = () => true): VolumeStates => ({
  name,
  diskful: new Set(truth.disks.flatMap((disk, i) => (disk === 'client' ? [] : [nameOf(i)]))),
  hosts: new Map(truth.disks.map((_, i) => [nameOf(i), heard(i) ? { status: { ...told(truth, i), name } satisfies DrbdResourceStatus } : undefined])),
})

/** A volume of three hosts that all hold it, connected and UpToDate; one of them is Primary. */
export const whole = (primary: number, disks: readonly string[] = ['UpToDate', 'UpToDate', 'UpToDate']): Truth => ({
  disks,
  links: disks.map((_, a) => disks.map((_other, b) => a !== b)),
  away: disks.map(() => disks.map(() => false)),
  primary,
  had: disks.map(() => true),
})

export const site = (given: Partial<SitePicture> = {}): SitePicture => ({
  hosts: [0, 1, 2].map((i) => host(i)),
  nodes: [0, 1, 2].map((i) => node(i)),
  services: [],
  volumes: [],
  ...given,
})

export interface AnySite {
  readonly picture: SitePicture
  readonly truths: readonly Truth[]
}

const anyNode = (i: number): fc.Arbitrary<NodePicture> =>
  fc
    .record({
      role: fc.constantFrom('manager', 'manager', 'worker'),
      availability: fc.constantFrom('active', 'active', 'active', 'drain', 'pause'),
      state: fc.constantFrom('ready', 'ready', 'ready', 'down', 'unknown'),
      reachability: fc.constantFrom('reachable', 'reachable', 'reachable', 'unreachable', ''),
      labels: fc.constantFrom({}, { disk: 'fast' }),
    })
    .map((given) => node(i, given))

const anyService = (n: number, volumes: readonly string[]): fc.Arbitrary<ServicePicture> =>
  fc
    .record({
      name: fc.constantFrom('a', 'b', 'c'),
      mode: fc.constantFrom('replicated', 'replicated', 'global'),
      nodes: fc.array(fc.nat(n - 1), { minLength: 1, maxLength: 3 }),
      constraints: fc.subarray(['node.labels.disk==fast', 'node.role == manager', `node.hostname!=${shortOf(1)}`, 'node.platform.os==linux'], { maxLength: 2 }),
      volumes: fc.subarray([...volumes], { maxLength: 1 }),
      hostPorts: fc.constantFrom([], [], ['80/tcp']),
    })
    .map(({ name, mode, nodes, ...given }) => service(name, nodes, { mode: mode as 'replicated' | 'global', ...given }))

export const anySite: fc.Arbitrary<AnySite> = fc.integer({ min: 2, max: 5 }).chain((n) => {
  const indexes = [...Array(n).keys()]
  return fc
    .record({
      truths: fc.array(truthsOf(n), { maxLength: 2 }),
      heard: fc.array(fc.constantFrom(true, true, false), { minLength: n, maxLength: n }),
      deaf: fc.constantFrom(false, false, true),
      nodes: fc.tuple(...indexes.map(anyNode)),
      swarm: fc.constantFrom(true, true, true, false),
      images: fc.array(fc.constantFrom('here', 'here', 'none', 'silent'), { minLength: n, maxLength: n }),
      services: fc.array(anyService(n, ['v0', 'v1']), { maxLength: 3 }),
    })
    .map(({ truths, heard, deaf, nodes, swarm, images, services }) => {
      const hears = (i: number): boolean => !deaf || heard[i] === true
      return {
        truths,
        picture: {
          hosts: indexes.map((i) => host(i, { answers: hears(i), images: images[i] === 'silent' ? undefined : images[i] === 'here' ? [imageHere] : [] })),
          nodes: swarm ? nodes : undefined,
          services: swarm ? services : undefined,
          volumes: truths.map((truth, index) => volume(`v${index}`, truth, hears)),
        },
      }
    })
})
