/** Carries out what `diagnose` finds, step by step: each is seen done before the next, and the next is concluded from what is there then. */
import { HiveError } from '../../proto/errors.ts'
import { tellStep } from '../bootstrap/told-step.ts'
import type { AgentClient } from '../client/agent-client.ts'
import type { Emit } from '../events.ts'
import { awaitProgress, type Clock, realClock } from '../hosts/await-progress.ts'
import type { StageState } from '../run/stage-state.ts'
import { type Diagnosis, diagnose, type RecoveryStep, type Wanted } from './diagnose.ts'
import { keptLabels, noteRejoining, rejoining } from './kept.ts'
import type { SwarmPicture } from './observe.ts'

export interface RecoverInput {
  readonly observe: () => Promise<SwarmPicture>
  readonly operations: SwarmOperations
  readonly state: StageState
  readonly wanted: Wanted & { readonly from: string }
  readonly emit: Emit
  readonly signal: AbortSignal
  readonly clock?: Clock
}

/** Each rejects with HiveError where it could not be done; whether it is done is looked at afterwards. Hosts by their inventory names. */
export interface SwarmOperations {
  force(host: string, nodeId: string, address: string): Promise<void>
  leave(host: string): Promise<void>
  join(host: string, role: 'manager' | 'worker', address: string, at: string): Promise<void>
  setLabel(nodeId: string, label: string, value: string): Promise<void>
  setAvailability(nodeId: string, availability: string): Promise<void>
  /** `inRaft`: it is demoted first, which is refused where that costs the majority. */
  remove(nodeId: string, inRaft: boolean): Promise<void>
}

/** More than any site has to do. */
const mostSteps = 200
/** Milliseconds without progress. */
const patience = 180_000
/** Managers that lost their leader were seen to elect another one within 27 s. */
const electionPatience = 45_000
const betweenLooks = 1_000

/** Answers what was done. Rejects with 'blocked' where it is refused, and with the error of the step at which it stopped; again goes on there. */
export async function recoverSwarm(input: RecoverInput): Promise<readonly string[]> {
  const done: string[] = []
  for (let count = 0; count < mostSteps; count += 1) {
    const [next] = orThrow(diagnose(await settled(input), { ...input.wanted, rejoining: rejoining(input.state) })).steps
    if (next === undefined) return done
    const title = titleOf(next)
    await tellStep(input.emit, { host: next.host, stepId: `swarm/${next.kind}@${next.host}`, title, reason: '' }, () => carryOut(input, next))
    done.push(`${next.host}: ${title}`)
  }
  throw new HiveError('not-converged', 'the swarm is not whole after all that could be done', { hint: 'hivecoord swarm recover says what is left' })
}

/** Managers that only elect have a leader again meanwhile: what is seen without one lasts. */
async function settled({ observe, clock = realClock, signal }: RecoverInput): Promise<SwarmPicture> {
  const until = clock.now() + electionPatience
  let picture = await observe()
  while (picture.views.size === 0 && clock.now() < until) {
    await clock.pause(betweenLooks, signal)
    picture = await observe()
  }
  return picture
}

export function orThrow(diagnosis: Diagnosis): Diagnosis {
  const { refusals, findings } = diagnosis
  if (refusals.length > 0) throw new HiveError('blocked', refusals.join('; '), { log: findings })
  return diagnosis
}

export function titleOf(step: RecoveryStep): string {
  switch (step.kind) {
    case 'force':
      return 'goes on as the only manager'
    case 'leave':
      return 'leaves what was the swarm'
    case 'join':
      return `joins as ${step.role}`
    case 'inherit':
      return `gets back ${[...Object.keys(step.labels), ...(step.availability === undefined ? [] : [step.availability])].join(', ')}`
    case 'remove':
      return `its ${step.nodeId === '' ? 'node' : `old node ${step.nodeId}`} is removed`
  }
}

async function carryOut(input: RecoverInput, step: RecoveryStep): Promise<void> {
  const { operations, state } = input
  switch (step.kind) {
    case 'force':
      await operations.force(step.host, step.nodeId, step.address)
      return seen(input, step, (picture) => (leads(picture, step.host) ? undefined : `${step.host} does not lead the swarm`))
    case 'leave':
      noteRejoining(state, step.host, true)
      await operations.leave(step.host)
      return seen(input, step, (picture) => {
        const raft = memberOf(picture, step.host)?.raft
        return raft?.state === 'inactive' && !raft.kept ? undefined : `its docker is ${raft?.state ?? 'not answering'}`
      })
    case 'join':
      await operations.join(step.host, step.role, step.address, step.at)
      await seen(input, step, (picture) => {
        const id = memberOf(picture, step.host)?.raft?.nodeId
        const node = viewOf(picture)?.find((one) => one.id === id)
        if (node === undefined) return 'it is no node yet'
        if (node.state !== 'ready') return `its node is ${node.state}`
        return step.role === 'manager' && node.reachability !== 'reachable' ? `as a manager it is ${node.reachability || 'no member of raft'}` : undefined
      })
      return noteRejoining(state, step.host, false)
    case 'inherit': {
      for (const [label, value] of Object.entries(step.labels)) await operations.setLabel(step.nodeId, label, value)
      if (step.availability !== undefined) await operations.setAvailability(step.nodeId, step.availability)
      return seen(input, step, (picture) => {
        const node = viewOf(picture)?.find(({ id }) => id === step.nodeId)
        const missing = Object.keys(step.labels).filter((label) => node?.labels[label] === undefined)
        return node !== undefined && missing.length === 0 ? undefined : `it has not got ${missing.join(', ')}`
      })
    }
    case 'remove': {
      // Swarm calls a node that died ready for some seconds more.
      await seen(input, step, (picture) =>
        viewOf(picture)?.find(({ id }) => id === step.nodeId)?.state === 'ready'
          ? 'swarm still calls it ready'
          : viewOf(picture) === undefined
            ? 'nobody has a leader'
            : undefined,
      )
      keptLabels(state, step.host).add(step.labels)
      // One that was just demoted is a member of raft for a moment more.
      const removed = () => operations.remove(step.nodeId, step.inRaft).then(() => ({ done: undefined }))
      await awaitProgress(`${step.host}: ${titleOf(step)}`, removed, {
        patience: electionPatience,
        signal: input.signal,
        clock: input.clock ?? realClock,
        host: step.host,
      })
      return seen(input, step, (picture) => {
        const nodes = viewOf(picture)
        return nodes !== undefined && !nodes.some(({ id }) => id === step.nodeId) ? undefined : 'it is still there'
      })
    }
  }
}

const memberOf = ({ members }: SwarmPicture, host: string) => members.find(({ name }) => name === host)
const viewOf = ({ views }: SwarmPicture) => [...views.values()][0]
const leads = (picture: SwarmPicture, host: string): boolean => {
  const raft = memberOf(picture, host)?.raft
  return raft !== undefined && raft.leader !== '' && raft.leader === raft.nodeId && picture.views.has(host)
}

const seen = ({ observe, clock = realClock, signal }: RecoverInput, step: RecoveryStep, doubt: (picture: SwarmPicture) => string | undefined): Promise<void> =>
  awaitProgress(
    `${step.host}: ${titleOf(step)}`,
    async () => {
      const picture = await observe()
      const why = doubt(picture)
      return why === undefined ? { done: undefined } : { doubt: why }
    },
    { patience, signal, clock, host: step.host },
  )

export const agentSwarmOperations = ({
  clientOf,
  leader,
  signal,
}: {
  readonly clientOf: (host: string) => Promise<AgentClient>
  /** Inventory name of a manager that has a leader. */
  readonly leader: () => Promise<string>
  readonly signal: AbortSignal
}): SwarmOperations => {
  const long = { deadline: longDeadline, signal }
  const call = { deadline: callDeadline, signal }
  const atLeader = async () => (await clientOf(await leader())).swarm
  return {
    force: async (host, nodeId, advertiseAddress) => void (await (await clientOf(host)).swarm.forceNewCluster({ nodeId, advertiseAddress }, long)),
    leave: async (host) => void (await (await clientOf(host)).swarm.leave({ force: true }, long)),
    async join(host, role, advertiseAddress, at) {
      const { token } = await (await atLeader()).joinToken({ role }, call)
      const spec = { advertiseAddress, init: false, role, remoteAddresses: [`${at}:2377`], joinToken: token, dataPathPort: 0 }
      await (await clientOf(host)).swarm.ensure(spec, long)
    },
    setLabel: async (node, label, value) => void (await (await atLeader()).setLabel({ node, label, value }, call)),
    setAvailability: async (node, availability) => void (await (await atLeader()).setAvailability({ node, availability }, call)),
    async remove(node, inRaft) {
      const swarm = await atLeader()
      if (inRaft) await swarm.setRole({ node, role: 'worker' }, call)
      await swarm.removeNode({ node, force: true }, call)
    },
  }
}

/** Milliseconds: three attempts of docker's, and its elections. */
const longDeadline = 480_000
const callDeadline = 60_000
