/** Carries out a plan in the account: everything side by side that does not need one another. */
import { HiveError } from '../../../proto/errors.ts'
import type { Emit } from '../../events.ts'
import type { StageState } from '../../run/stage-state.ts'
import type { ProviderAction } from '../provider.ts'
import { applyHost, type MadeHost } from './apply-hosts.ts'
import { applyNetwork, type Work } from './apply-network.ts'
import type { EfsFound } from './efs-plan.ts'
import { ImageChooser } from './image.ts'
import { InstanceWatch } from './instance-watch.ts'
import { fingerprintOf } from './key-fingerprint.ts'
import { observe } from './observe.ts'
import { planAws } from './plan.ts'
import { ids } from './plan-actions.ts'
import { tagChanges } from './plan-tags.ts'
import { settled } from './settled.ts'
import { applyFileSystem } from './stage-file-system.ts'
import { tagList } from './tags.ts'
import { untilAnswer } from './wait.ts'
import type { HostWant } from './want.ts'

export interface ApplyInput extends Omit<Work, 'doing'> {
  readonly actions: readonly ProviderAction[]
  readonly state: StageState
  readonly emit: Emit
  readonly fileSystem: EfsFound | undefined
  /** An authorized_keys line. */
  readonly publicKey: string
  /** Told of each host as soon as it is as wanted. */
  readonly made: (host: MadeHost) => Promise<void>
}

/** Waits for everything that was begun, also when a part fails; then throws one HiveError for all. */
export async function applyAws(input: ApplyInput): Promise<void> {
  const { api, want, state, publicKey, signal } = input
  const work: Work = { ...input, doing: new Set(input.actions.map(({ id }) => id)) }
  const network = applyNetwork(work, publicKey)
  const tools = { network, images: new ImageChooser(api, state, signal), watch: new InstanceWatch(api, signal), publicKey }
  const bring = async (host: HostWant): Promise<void> => input.made(await applyHost(work, tools, host))
  const stops = (name: string): boolean => work.doing.has(ids.type(name)) || work.doing.has(ids.replace(name))
  // Hosts that were running are stopped one after the other; where one does not come back, the next stays as it is.
  let turn: Promise<void> = Promise.resolve()
  const inTurn = (body: () => Promise<void>): Promise<void> => {
    turn = turn.then(body)
    return turn
  }
  await settled([
    network.done,
    applyTags(work),
    applyFileSystem(work, network, input.fileSystem, state, input.emit),
    ...want.hosts.map((host) => (stops(host.name) ? inTurn(() => bring(host)) : bring(host))),
  ])
  await verify(input, work.doing)
}

/** Milliseconds until what was done can be seen everywhere in EC2. */
const visibleAfter = 120_000

/** Looks again: what was done is there, for whoever looks next. Throws HiveError 'not-converged' that names what is not. */
async function verify({ api, want, publicKey, signal }: ApplyInput, doing: ReadonlySet<string>): Promise<void> {
  if (doing.size === 0) return
  let missing: readonly ProviderAction[] = []
  const seen = await untilAnswer(
    async () => {
      missing = planAws(want, await observe(api, want, signal), fingerprintOf(publicKey)).actions.filter(({ id }) => doing.has(id))
      return missing.length === 0 ? true : undefined
    },
    { clock: api.clock, signal, deadline: visibleAfter },
  )
  if (seen === true) return
  const names = missing.map(({ title, host }) => (host === '' ? title : `${title} (${host})`)).join(', ')
  throw new HiveError('not-converged', `done, but not to be seen in the account after ${visibleAfter / 1000} s: ${names}`, { hint: 'run the command again' })
}

async function applyTags({ api, want, found, doing, signal }: Work): Promise<void> {
  if (!doing.has(ids.tags)) return
  await settled(
    tagChanges(want, found).map(({ id, what, tags }) => api.call('CreateTags', { Resources: [id], Tags: tagList(tags) }, { what: `tags of ${what}` }, signal)),
  )
}
