/** The AMI of hosts: the inventory's, else the newest EL image; chosen once and kept, so that all hosts of a stage, and later ones, have the same. */
import type { Image } from '@aws-sdk/client-ec2'
import { HiveError } from '../../../proto/errors.ts'
import type { StageState } from '../../run/stage-state.ts'
import type { AwsApi } from './api.ts'
import type { HostWant } from './want.ts'

export interface ChosenImage {
  readonly id: string
  readonly name: string
  readonly rootDevice: string
  /** GB; undefined: EC2 does not say. */
  readonly rootSizeGb: number | undefined
}

/** AlmaLinux 9 as its makers publish it, see wiki.almalinux.org/cloud/AWS. */
export const defaultImage = { owner: '764336703387', pattern: 'AlmaLinux OS 9*x86_64*' } as const

/** In the stage's state: what was asked for → the AMI's id. */
export const imagesKey = 'aws.images'

const pinned = (state: StageState): Readonly<Record<string, string>> => {
  const value = state.get(imagesKey)
  return typeof value === 'object' && value !== null ? (value as Record<string, string>) : {}
}

const asked = (host: Pick<HostWant, 'image'>): string => host.image ?? `${defaultImage.owner}/${defaultImage.pattern}`

/** The newest available one; undefined where there is none. Exported for tests. */
export const newest = (images: readonly Image[]): Image | undefined =>
  [...images]
    .filter(({ State, Architecture }) => State === 'available' && Architecture === 'x86_64')
    .sort((a, b) => (a.CreationDate ?? '').localeCompare(b.CreationDate ?? '') || (a.Name ?? '').localeCompare(b.Name ?? '', 'en', { numeric: true }))
    .at(-1)

/** Asks EC2 once for each image that hosts name. Writes the pin before it answers. Throws HiveError. */
export class ImageChooser {
  readonly #api: AwsApi
  readonly #state: StageState
  readonly #signal: AbortSignal
  readonly #chosen = new Map<string, Promise<ChosenImage>>()

  constructor(api: AwsApi, state: StageState, signal: AbortSignal) {
    this.#api = api
    this.#state = state
    this.#signal = signal
  }

  choose(host: Pick<HostWant, 'image' | 'name'>): Promise<ChosenImage> {
    const key = asked(host)
    const known = this.#chosen.get(key)
    if (known !== undefined) return known
    const made = this.#choose(host, key)
    this.#chosen.set(key, made)
    return made
  }

  async #choose(host: Pick<HostWant, 'image' | 'name'>, key: string): Promise<ChosenImage> {
    const id = host.image?.startsWith('ami-') === true ? host.image : pinned(this.#state)[key]
    const about = { what: `image of ${host.name}`, host: host.name }
    const found =
      id === undefined ? newest(await this.#search(host, about)) : (await this.#api.call('DescribeImages', { ImageIds: [id] }, about, this.#signal)).Images?.[0]
    if (found?.ImageId === undefined)
      throw new HiveError('invalid-input', `image of ${host.name}: there is no AMI ${id ?? key} for x86_64 in ${this.#api.region}`, {
        host: host.name,
        hint: "write image_name: an AMI's id (ami-…) or the pattern of a name of this region's images",
      })
    if (found.Architecture !== 'x86_64')
      throw new HiveError('invalid-input', `image of ${host.name}: ${found.ImageId} is for ${found.Architecture}`, {
        host: host.name,
        hint: 'write an image_name for x86_64',
      })
    if (id === undefined) this.#state.set(imagesKey, { ...pinned(this.#state), [key]: found.ImageId })
    const rootDevice = found.RootDeviceName ?? '/dev/sda1'
    const rootSizeGb = found.BlockDeviceMappings?.find(({ DeviceName }) => DeviceName === rootDevice)?.Ebs?.VolumeSize
    return { id: found.ImageId, name: found.Name ?? '', rootDevice, rootSizeGb }
  }

  async #search(host: Pick<HostWant, 'image'>, about: { readonly what: string; readonly host: string }): Promise<readonly Image[]> {
    const available = { Name: 'state', Values: ['available'] }
    const { owner, pattern } = defaultImage
    const input =
      host.image === undefined
        ? { Owners: [owner], Filters: [{ Name: 'name', Values: [pattern] }, available] }
        : { Filters: [{ Name: 'name', Values: [host.image] }, available] }
    return this.#api.all('DescribeImages', input, about, this.#signal, ({ Images }) => Images)
  }
}
