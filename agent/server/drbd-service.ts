/** DRBD resources of this host: looked at, followed, and repaired by hand. */
import { type DrbdRoleChange, DrbdServiceService, type DrbdChange as Told } from '#gen/hive/v1/drbd.ts'
import { HiveError } from '../../proto/errors.ts'
import { type DrbdChange, drbdEvents } from '../adapters/drbd/events.ts'
import { drbdKernelLines } from '../adapters/drbd/kernel-log.ts'
import { readStatus, readStatusOf } from '../adapters/drbd/read-status.ts'
import { holdersOfAll } from '../adapters/mounts.ts'
import type { ServerContext } from './context.ts'
import { carryOut } from './drbd/carry-out.ts'
import type { DrbdVerb } from './drbd/decide-operation.ts'
import { type Caller, type ServiceRegistration, service } from './service.ts'

export const drbdService = (context: ServerContext): ServiceRegistration =>
  service(
    DrbdServiceService,
    {
      async list(_request, { signal }) {
        return { resources: [...(await readStatus(signal))] }
      },

      async status({ name, logSeconds }, { signal }) {
        const status = await readStatusOf(name, signal)
        const [holders, kernelLog] = await Promise.all([
          holdersOfAll(status?.devices ?? []),
          // A host whose kernel log can't be read (a container) still has its status.
          logSeconds === 0 ? [] : drbdKernelLines(name, { sinceSeconds: logSeconds, signal }).catch(() => []),
        ])
        return { status, holders: holders.map((holder) => ({ ...holder })), kernelLog: [...kernelLog] }
      },

      async *watch({ name }, { signal }) {
        const events = drbdEvents()
        const changes = events.changes(signal)
        const known = events.view.resources()
        const wanted = (resource: string): boolean => name === '' || name === resource
        for (const { name: resource, role } of known) if (wanted(resource)) yield present(resource, role)
        for await (const change of changes) if (wanted(change.event.resource) || wanted(change.after?.name ?? '')) yield toMessage(change)
      },

      up: (request, { signal }) => carryOut(context, request, { verb: 'up' }, signal),
      down: (request, { signal }) => carryOut(context, request, { verb: 'down' }, signal),
      adjust: (request, { signal }) => carryOut(context, request, { verb: 'adjust' }, signal),
      resize: (request, { signal }) => carryOut(context, request, { verb: 'resize' }, signal),
      snapshot: (request, { signal }) => carryOut(context, request, { verb: 'snapshot' }, signal),
      connect: (request, { signal }) => carryOut(context, request, { verb: 'connect', peer: request.peer }, signal),
      disconnect: (request, { signal }) => carryOut(context, request, { verb: 'disconnect', peer: request.peer }, signal),
      verify: (request, { signal }) => carryOut(context, request, { verb: 'verify', peer: request.peer }, signal),
      forgetPeer: (request, { signal }) => carryOut(context, request, { verb: 'forget-peer', peer: request.peer }, signal),
      discardMyData: (request, { signal }) => carryOut(context, request, { verb: 'discard', withoutSnapshot: request.withoutSnapshot }, signal),
      invalidate: (request, { signal }) => carryOut(context, request, { verb: 'invalidate', withoutSnapshot: request.withoutSnapshot }, signal),
      primary: (request, { signal, caller }) => changeRole(context, 'primary', request, caller, signal),
      secondary: (request, { signal, caller }) => changeRole(context, 'secondary', request, caller, signal),
    },
    (signal) =>
      readStatus(signal).then(
        () => true,
        () => false,
      ),
  )

async function changeRole(context: ServerContext, verb: DrbdVerb, request: DrbdRoleChange, caller: Caller, signal: AbortSignal) {
  if (request.force && caller.role !== 'hive:admin')
    throw new HiveError('denied', `forcing a role needs the role hive:admin; the certificate of ${caller.name} has ${caller.role ?? 'none'}`)
  return carryOut(context, request, { verb, force: request.force }, signal)
}

/** For who comes later than the picture. */
const present = (resource: string, role: string): Told => ({
  at: new Date(),
  resource,
  verb: 'exists',
  object: 'resource',
  peer: '',
  volume: 0,
  changes: [{ key: 'role', before: '', after: role }],
  helper: '',
})

const toMessage = ({ event, changes }: DrbdChange): Told => ({
  at: event.at ?? new Date(),
  resource: event.resource,
  verb: event.verb,
  object: event.object,
  peer: event.peer ?? '',
  volume: event.volume ?? 0,
  changes: changes.map(({ key, before = '', after = '' }) => ({ key, before, after })),
  helper: event.object === 'helper' ? [...event.fields].map(([key, value]) => (key === 'helper' ? value : `${key}:${value}`)).join(' ') : '',
})
