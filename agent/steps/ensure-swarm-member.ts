/** The host is a member of the swarm: the first one makes it, all others join it. */
import { connect } from 'node:net'
import type { EnsureSwarmMember } from '#gen/hive/v1/steps_docker.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import type { SwarmInfo } from '../adapters/docker/api-types.ts'
import { recentInfo } from '../adapters/docker/recent.ts'
import { daemonInfo, listNodes } from '../adapters/docker/swarm.ts'
import { pause, waitFor } from '../adapters/docker/wait.ts'
import { dockerPost } from '../adapters/docker.ts'
import { blocked, type CheckOutcome, change, type Executor, ok, type StepContext } from './executor.ts'

const joinAttempts = 5
const readyTimeout = 90_000

const ofSwarm = 'docker reaches no swarm'

export const ensureSwarmMember: Executor<EnsureSwarmMember> = {
  exclusive: () => 'swarm',

  async check(spec, context) {
    return outcomeOf(spec, (await recentInfo(context.signal)).Swarm)
  },

  async apply(spec, context) {
    for (let attempt = 1; ; attempt += 1) {
      const state = await settled(context)
      if (state === 'active') return
      try {
        await enter(spec, context)
        return
      } catch (error) {
        if (attempt >= joinAttempts || context.signal.aborted || (error instanceof HiveError && error.code === 'blocked')) throw error
        context.log(`${messageOf(error)}; trying again`)
        // Only what this step itself began and never became a member is taken back.
        if ((await daemonInfo({ signal: context.signal })).Swarm.LocalNodeState === 'error')
          await dockerPost('/swarm/leave', { query: { force: 'true' }, signal: context.signal })
        await pause(1000 * attempt, context.signal)
      }
    }
  },

  async verify(spec, context) {
    const info = await waitFor(
      'becoming a ready member of the swarm',
      async () => {
        const { Swarm } = await daemonInfo({ signal: context.signal })
        if (Swarm.LocalNodeState === 'error') throw new HiveError('not-converged', `${ofSwarm}: ${Swarm.Error ?? ''}`)
        if (Swarm.LocalNodeState !== 'active') return undefined
        if (!Swarm.ControlAvailable) return spec.role === 'manager' ? undefined : Swarm
        // While managers elect, the list is not answered; that passes.
        const nodes = await listNodes({ signal: context.signal, timeout: 10_000 }).catch(() => [])
        return nodes.some((node) => node.ID === Swarm.NodeID && node.Status.State === 'ready') ? Swarm : undefined
      },
      { signal: context.signal, timeout: readyTimeout },
    )
    return outcomeOf(spec, info)
  },
}

function outcomeOf(spec: EnsureSwarmMember, swarm: SwarmInfo): CheckOutcome {
  const role = spec.role === 'worker' ? 'worker' : 'manager'
  switch (swarm.LocalNodeState) {
    case 'inactive':
      return spec.init && spec.joinToken === ''
        ? change('not in a swarm: the first manager', 'inactive', `${role} at ${spec.advertiseAddress}`)
        : change(`not in the swarm: joins as ${role}`, 'inactive', `${role} at ${spec.advertiseAddress}`)
    case 'pending':
      return change('joining the swarm is under way', 'pending', `${role} at ${spec.advertiseAddress}`)
    case 'locked':
      return blocked('the swarm is locked on this host', 'docker swarm unlock with the swarm’s key, on the host')
    case 'active':
      break
    default:
      return blocked(
        `the swarm on this host is in state ${swarm.LocalNodeState}: ${swarm.Error ?? ''}`,
        'when the host shall be a new member: docker swarm leave --force on it, remove its old node at a manager, then run again',
      )
  }
  const actual = swarm.ControlAvailable ? 'manager' : 'worker'
  if (actual !== role)
    return blocked(
      `the host is a ${actual} of the swarm, the inventory says ${role}`,
      `change it at a manager, with the majority in mind: SwarmService/SetRole {"node": "…", "role": "${role}"}`,
    )
  if (spec.advertiseAddress !== '' && swarm.NodeAddr !== undefined && swarm.NodeAddr !== '' && swarm.NodeAddr !== spec.advertiseAddress)
    return blocked(
      `the host is in the swarm as ${swarm.NodeAddr}, the inventory says ${spec.advertiseAddress}`,
      'a member keeps its address: let the host leave the swarm and join again',
    )
  return ok
}

/** Waits until a join that is under way has ended one way or the other. */
const settled = (context: StepContext): Promise<string> =>
  waitFor(
    'the join that is under way',
    async () => {
      const { LocalNodeState } = (await daemonInfo({ signal: context.signal })).Swarm
      return LocalNodeState === 'pending' ? undefined : LocalNodeState
    },
    { signal: context.signal, timeout: 120_000, every: 500 },
  )

/** Makes the swarm or joins it, and waits for the result; docker goes on with a join in the background after 20 s. */
async function enter(spec: EnsureSwarmMember, context: StepContext): Promise<void> {
  const { signal } = context
  const addresses = { ListenAddr: '0.0.0.0:2377', AdvertiseAddr: spec.advertiseAddress }
  if (spec.joinToken !== '') {
    context.log(`joining at ${spec.remoteAddresses.join(', ')}`)
    const body = { ...addresses, RemoteAddrs: spec.remoteAddresses, JoinToken: spec.joinToken }
    await dockerPost('/swarm/join', { body, signal, timeout: 90_000 }).catch((error: unknown) => {
      if (!/will continue in the background|Timeout was reached/i.test(messageOf(error))) throw error
    })
    if ((await settled(context)) !== 'active') {
      const { Swarm } = await daemonInfo({ signal })
      throw new HiveError('command-failed', `docker: joining the swarm failed: ${Swarm.Error ?? Swarm.LocalNodeState}`)
    }
    return
  }
  if (!spec.init) throw new HiveError('blocked', 'there is no token to join the swarm with', { hint: 'no manager of the site could be asked for one' })
  // A host that was replaced must not make a second swarm beside the one that the others are in.
  const existing = await firstListening(spec.remoteAddresses)
  if (existing !== undefined)
    throw new HiveError('blocked', `${existing} is in a swarm already, and there is no token to join it with`, {
      hint: 'bring the agent of a manager back, so that it can give the token, and run again',
    })
  context.log('making the swarm')
  const body = { ...addresses, ...(spec.dataPathPort === 0 ? {} : { DataPathPort: spec.dataPathPort }), Spec: {} }
  await dockerPost('/swarm/init', { body, signal })
}

/** The first of these addresses where something takes connections, within 2 s. */
async function firstListening(addresses: readonly string[]): Promise<string | undefined> {
  const answers = await Promise.all(addresses.map(async (address) => ((await listens(address)) ? address : undefined)))
  return answers.find((address) => address !== undefined)
}

function listens(address: string): Promise<boolean> {
  const colon = address.lastIndexOf(':')
  return new Promise((resolve) => {
    const socket = connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)), timeout: 2000 })
    const answer = (value: boolean) => () => {
      socket.destroy()
      resolve(value)
    }
    socket.once('connect', answer(true)).once('timeout', answer(false)).once('error', answer(false))
  })
}
