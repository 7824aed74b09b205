/** What an operation by hand on a DRBD resource comes to: nothing, a refusal, or commands with what they take away. Pure. */
import type { DrbdConnection, DrbdResourceStatus } from '#gen/hive/v1/drbd_status.ts'
import { type QuorumOperation, sameHost } from '../../../proto/drbd-quorum.ts'
import { HiveError } from '../../../proto/errors.ts'
import type { Holder } from '../../adapters/mounts.ts'

export type DrbdVerb =
  | 'up'
  | 'down'
  | 'connect'
  | 'disconnect'
  | 'discard'
  | 'primary'
  | 'secondary'
  | 'adjust'
  | 'resize'
  | 'verify'
  | 'invalidate'
  | 'snapshot'
  | 'forget-peer'

export interface Asked {
  readonly verb: DrbdVerb
  readonly name: string
  /** This host, by its inventory name. */
  readonly host: string
  readonly peer?: string
  readonly force?: boolean
  readonly withoutSnapshot?: boolean
}

export interface Facts {
  /** undefined: not up here. */
  readonly status: DrbdResourceStatus | undefined
  /** Who has its devices open or mounted here. */
  readonly holders: readonly Holder[]
  /** What `drbdadm adjust` would do. Only looked at for `up` and `adjust`. */
  readonly pending: readonly string[]
  /** Arguments that make drbdadm read this resource's configuration alone. */
  readonly config: readonly string[]
}

export interface Work {
  readonly kind: 'work'
  /** Its effect on quorum and copies is a doubt where it is not safe. */
  readonly operation: QuorumOperation
  readonly doubts: readonly string[]
  readonly snapshot: boolean
  readonly commands: readonly (readonly ['drbdadm' | 'drbdsetup', ...string[]])[]
}
export type OperationDecision = Work | { readonly kind: 'nothing'; readonly reason: string }

/** Throws HiveError 'blocked' for what must not be done even when it is confirmed, 'not-found' for a peer that is not there. */
export function decideOperation(asked: Asked, facts: Facts): OperationDecision {
  const { verb, name, host, force = false } = asked
  const { status, holders } = facts
  if (verb === 'up') return status === undefined ? adjusted(asked, facts) : nothing('is up')
  if (verb === 'snapshot') return work(host, [], { snapshot: true })
  if (status === undefined) {
    if (verb === 'down') return nothing('is not up')
    throw new HiveError('blocked', `${name} is not up on this host`, { hint: `hivecoord drbd up ${name} --host ${host}` })
  }
  const primary = status.role === 'Primary'
  switch (verb) {
    case 'down':
      // A device that is held open lets `down` fail, a read-only one after the connections are gone already.
      assertNotHeld(name, holders, 'down')
      if (status.devices.some(({ open }) => open))
        throw new HiveError('blocked', `${name} is held open on this host by somebody who is not visible`, {
          hint: 'a file system that was unmounted lazily, perhaps; it ends with the process that has a file of it open',
        })
      return work(host, [...(primary ? [setup('secondary', name)] : []), setup('down', name)], { operation: { kind: 'down', host } })
    case 'connect': {
      const to = connectionTo(status, asked.peer)
      return to.state === 'StandAlone' ? work(host, [setup('connect', name, String(to.peerNodeId))]) : nothing(`${to.name} is ${to.state}`)
    }
    case 'disconnect': {
      const to = connectionTo(status, asked.peer)
      if (to.state === 'StandAlone') return nothing(`${to.name} is StandAlone`)
      return work(host, [setup('disconnect', name, String(to.peerNodeId))], { operation: { kind: 'disconnect', host, peer: to.name } })
    }
    case 'discard':
      return discard(asked, status, holders)
    case 'primary':
      if (primary && !force) return nothing('is Primary')
      return work(host, [setup('primary', name, ...(force ? ['--force'] : []))], {
        ...(force ? { operation: { kind: 'force-primary', host } as const } : {}),
        doubts: force ? ['forced: whatever other hosts have that this one has not seen is old from then on'] : [],
      })
    case 'secondary':
      if (!primary) return nothing(`is ${status.role}`)
      if (!force) assertNotHeld(name, holders, 'secondary')
      return work(host, [setup('secondary', name, ...(force ? ['--force'] : []))], {
        doubts: force ? [`forced: who holds it open gets I/O errors: ${described(holders)}`] : [],
      })
    case 'adjust':
      return adjusted(asked, facts)
    case 'resize': {
      const away = status.connections.filter(({ state, peerDevices }) => state !== 'Connected' && !peerDevices.every(({ peerClient }) => peerClient))
      if (away.length > 0)
        throw new HiveError('blocked', `${name} is resized only with all its hosts: ${away.map((one) => `${one.name} is ${one.state}`).join(', ')}`, {
          hint: 'bring them back first; each host grows its own disk',
        })
      return work(host, [['drbdadm', ...facts.config, 'resize', name]])
    }
    case 'verify': {
      const to = connectionTo(status, asked.peer)
      if (to.state !== 'Connected') throw new HiveError('blocked', `${to.name} is ${to.state}: there is nothing to compare with`)
      const running = to.peerDevices.find(({ sync }) => sync !== undefined)
      if (running !== undefined) return nothing(`${running.replicationState} is under way with ${to.name}`)
      return work(
        host,
        to.peerDevices.filter(({ peerClient }) => !peerClient).map(({ volume }) => setup('verify', name, String(to.peerNodeId), String(volume))),
      )
    }
    case 'invalidate':
      return invalidate(asked, status, holders)
    case 'forget-peer': {
      const to = connectionTo(status, asked.peer)
      if (to.state === 'Connected') throw new HiveError('blocked', `${to.name} is Connected`, { hint: 'only a peer that is gone for good is forgotten' })
      const id = String(to.peerNodeId)
      return work(host, [...(to.state === 'StandAlone' ? [] : [setup('disconnect', name, id)]), setup('del-peer', name, id), setup('forget-peer', name, id)], {
        operation: { kind: 'forget-peer', host, peer: to.name },
        doubts: [`${to.name} needs a full resynchronization should it come back`],
      })
    }
  }
}

/** Words of drbdsetup that take something away from what runs. */
const takesAway = /^drbdsetup (detach|disconnect|del-peer|del-path|del-minor|down|secondary|invalidate)\b/

function adjusted({ name, host }: Asked, { pending, config, status }: Facts): OperationDecision {
  if (status !== undefined && pending.length === 0) return nothing('is as its file says')
  const taken = pending.filter((command) => takesAway.test(command))
  return work(host, [['drbdadm', ...config, 'adjust', name]], { doubts: taken.map((command) => `it would run: ${command}`) })
}

function invalidate(asked: Asked, status: DrbdResourceStatus, holders: readonly Holder[]): OperationDecision {
  const { name, host, withoutSnapshot } = asked
  if (status.role === 'Primary') throw new HiveError('blocked', `${name} is Primary here`, { hint: 'its copy is the one in use', log: holders.map(line) })
  const withCopy = status.devices.filter(({ client }) => !client)
  if (withCopy.length === 0) throw new HiveError('blocked', `this host has no copy of ${name}`)
  for (const { volume } of withCopy) {
    const source = status.connections.find(
      ({ state, peerDevices }) => state === 'Connected' && peerDevices.some((peer) => peer.volume === volume && peer.peerDiskState === 'UpToDate'),
    )
    if (source === undefined)
      throw new HiveError('blocked', `no connected host has an UpToDate copy of ${name}`, {
        hint: 'the copy here may be the last one; connect a host that has it',
      })
  }
  return work(
    host,
    withCopy.map(({ minor }) => setup('invalidate', String(minor))),
    { operation: { kind: 'invalidate', host }, doubts: [`the copy of ${name} on this host is thrown away`], snapshot: withoutSnapshot !== true },
  )
}

/** On the victim the whole resource is disconnected first: DRBD refuses while any of its connections is not StandAlone. */
function discard(asked: Asked, status: DrbdResourceStatus, holders: readonly Holder[]): OperationDecision {
  const { name, host, withoutSnapshot } = asked
  if (status.role === 'Primary')
    throw new HiveError('blocked', `${name} is Primary here: DRBD discards nothing of a Primary`, {
      hint: 'stop what uses it here first',
      log: holders.map(line),
    })
  if (status.connections.length === 0)
    throw new HiveError('blocked', `${name} has no connection here`, { hint: `hivecoord drbd adjust ${name} --host ${host}` })
  const ids = status.connections.map(({ peerNodeId, state }) => ({ id: String(peerNodeId), state }))
  return work(
    host,
    [
      ...ids.filter(({ state }) => state !== 'StandAlone').map(({ id }) => setup('disconnect', name, id)),
      ...ids.map(({ id }) => setup('connect', name, id, '--discard-my-data')),
    ],
    { operation: { kind: 'discard', host }, doubts: [`what only this host wrote to ${name} is thrown away`], snapshot: withoutSnapshot !== true },
  )
}

const nothing = (reason: string): OperationDecision => ({ kind: 'nothing', reason })
const work = (host: string, commands: Work['commands'], parts: Partial<Pick<Work, 'operation' | 'doubts' | 'snapshot'>> = {}): Work => ({
  kind: 'work',
  operation: { kind: 'none', host },
  doubts: [],
  snapshot: false,
  commands,
  ...parts,
})
const setup = (...args: string[]): ['drbdsetup', ...string[]] => ['drbdsetup', ...args]

/** By the peer's name or the first label of it. Throws HiveError 'not-found' with the names there are. */
function connectionTo(status: DrbdResourceStatus, peer = ''): DrbdConnection {
  const found = status.connections.find(({ name }) => name === peer) ?? status.connections.find(({ name }) => sameHost(name, peer))
  if (found !== undefined) return found
  const known = status.connections.map(({ name }) => name).join(', ')
  throw new HiveError('not-found', `${status.name} has no peer ${peer} here`, {
    hint: known === '' ? 'it has none: adjust brings back what its file names' : `it has ${known}`,
  })
}

function assertNotHeld(name: string, holders: readonly Holder[], verb: string): void {
  if (holders.length === 0) return
  throw new HiveError('blocked', `${name} is in use on this host: ${described(holders)}`, {
    hint: verb === 'down' ? 'stop what holds it first; a down that fails half-way leaves it without connections' : 'stop what holds it first',
    log: holders.map(line),
  })
}

const line = ({ kind, pid, command, what }: Holder): string => `${kind} ${what}${pid === 0 ? '' : `, ${command} (pid ${pid})`}`
const described = (holders: readonly Holder[]): string =>
  holders.length === 0
    ? 'nobody visible'
    : [...new Set(holders.map(({ kind, command, what }) => (kind === 'mount' ? `mounted at ${what}` : `${command || what}`)))].join(', ')
