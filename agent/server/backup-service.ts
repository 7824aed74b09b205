/** Dumps and restores of this host's services, and on the repository server the backups that it keeps. */

import { createHash } from 'node:crypto'
import {
  type BackupEvent,
  BackupServiceService,
  BackupStoreServiceService,
  type DumpComplete,
  type LoadInput,
  type LoadOutput,
  type LoadStart,
} from '#gen/hive/v1/backup.ts'
import type { BackupScript, EnsureBackups } from '#gen/hive/v1/steps_backup.ts'
import { HiveError } from '../../proto/errors.ts'
import { agentRole } from '../../proto/roles.ts'
import { readBackupConfig } from '../watchers/backup/config.ts'
import { containerOf, serviceContainers } from '../watchers/backup/containers.ts'
import { dumpOutputs } from '../watchers/backup/dump.ts'
import type { Tell } from '../watchers/backup/events.ts'
import { isFileOf } from '../watchers/backup/file-names.ts'
import type { BackupKeeper } from '../watchers/backup/keeper.ts'
import { assertRestorable, load, whole } from '../watchers/backup/load.ts'
import { containerPlace, type Place } from '../watchers/backup/place.ts'
import { rehearse } from '../watchers/backup/rehearse.ts'
import type { DumpPiece } from '../watchers/backup/store.ts'
import { Tickets } from '../watchers/backup/tickets.ts'
import { Outbox } from './docker/outbox.ts'
import { type CallContext, type ServiceRegistration, service } from './service.ts'

/** Where services' data is; for tests something else than docker. */
export interface ServicePlaces {
  running(signal: AbortSignal): Promise<readonly { readonly service: string; readonly slot: number }[]>
  place(service: string, signal: AbortSignal): Promise<Place>
  rehearse(
    script: BackupScript,
    data: AsyncIterable<Uint8Array>,
    expected: { readonly size: number; readonly sha256: string },
    onLine: (line: string) => void,
    signal: AbortSignal,
  ): Promise<string>
}

export const dockerPlaces: ServicePlaces = {
  running: serviceContainers,
  place: async (name, signal) => containerPlace(await containerOf(name, signal), `the container of ${name}`),
  rehearse: async (script, data, { size, sha256 }, onLine, signal) =>
    rehearse({ script, container: await containerOf(script.service, signal), data, size, sha256, signal, onLine }),
}

export interface BackupServiceOptions {
  readonly configPath: string
  readonly places: ServicePlaces
  readonly now: () => Date
}

export function backupService({ configPath, places, now }: BackupServiceOptions): ServiceRegistration {
  const tickets = new Tickets(now)
  const known = async ({ caller, rpc }: CallContext): Promise<EnsureBackups> => {
    const config = (await readBackupConfig(configPath)) ?? { repository: '', scripts: [] }
    if (caller.role === agentRole && caller.name !== config.repository)
      throw new HiveError('denied', `${rpc} is for the repository server${config.repository === '' ? '' : ` ${config.repository}`}, not for ${caller.name}`)
    return config
  }
  return service(BackupServiceService, {
    async offers(_request, call) {
      const { scripts } = await known(call)
      if (scripts.every((script) => script.service === '')) return { offers: [] }
      const running = await places.running(call.signal)
      const offers = scripts.flatMap((script) => {
        const found = running.find((container) => container.service === script.service)
        return found === undefined ? [] : [{ service: script.service, script: script.name, slot: found.slot }]
      })
      return { offers }
    },

    async *dump({ service: name, script }, call) {
      const found = scriptOf(await known(call), name, script)
      yield* dumpOutputs(found, await places.place(name, call.signal), call.signal)
    },

    async allowRestore({ service: name, script, sha256, confirm }, call) {
      const found = scriptOf(await known(call), name, script)
      assertRestorable(found)
      if (confirm !== name) throw new HiveError('blocked', `a restore of ${script} replaces what ${name} holds`, { hint: `confirm it with the name ${name}` })
      // It must be here: elsewhere the leave is worth nothing.
      await places.place(name, call.signal)
      return tickets.give({ service: name, script, sha256 })
    },

    async *load(input, call) {
      const config = await known(call)
      yield* received(input, call, async (start, data, onLine) => {
        const script = scriptOf(config, start.service, start.script)
        tickets.take(start.ticket, start)
        const size = Number(start.size)
        await load({
          script,
          place: await places.place(start.service, call.signal),
          data: whole(data, { size, sha256: start.sha256 }),
          size,
          signal: call.signal,
          onLine,
        })
        return 'restored'
      })
    },

    async *rehearse(input, call) {
      const config = await known(call)
      yield* received(input, call, (start, data, onLine) =>
        places.rehearse(scriptOf(config, start.service, start.script), data, { size: Number(start.size), sha256: start.sha256 }, onLine, call.signal),
      )
    },
  })
}

function scriptOf({ scripts }: EnsureBackups, name: string, script: string): BackupScript {
  const found = scripts.find((one) => one.service === name && one.name === script && name !== '')
  if (found === undefined)
    throw new HiveError('not-found', `this host was told of no backup ${script} of ${name}`, {
      hint: 'hivecoord deploy-services tells it what backup_scripts say',
    })
  return found
}

type Receive = (start: LoadStart, data: AsyncIterable<Uint8Array>, onLine: (line: string) => void) => Promise<string>

/** Takes the start, hands the data on as it comes, and answers lines and how it ended. */
async function* received(input: AsyncIterable<LoadInput>, { signal }: CallContext, work: Receive): AsyncGenerator<LoadOutput> {
  const messages = input[Symbol.asyncIterator]()
  const first = await messages.next()
  const start = first.done === true || first.value.input?.$case !== 'start' ? undefined : first.value.input.value
  if (start === undefined) throw new HiveError('invalid-input', 'the first message must be start')
  const outbox = new Outbox<LoadOutput>()
  signal.addEventListener('abort', () => outbox.fail(signal.reason), { once: true })
  work(start, chunks(messages), (line) => outbox.put({ output: { $case: 'line', value: line } })).then(
    (done) => {
      outbox.put({ output: { $case: 'done', value: done } })
      outbox.close()
    },
    (error: unknown) => outbox.fail(error),
  )
  yield* outbox
}

/** Throws where the stream ends without saying that it was all. */
async function* chunks(messages: AsyncIterator<LoadInput>): AsyncGenerator<Uint8Array> {
  for (;;) {
    const next = await messages.next()
    if (next.done === true) throw new HiveError('command-failed', 'the dump broke off on its way')
    const { input } = next.value
    if (input?.$case === 'end') return
    if (input?.$case === 'chunk') yield input.value
  }
}

export const backupStoreService = (keeper: BackupKeeper): ServiceRegistration =>
  service(BackupStoreServiceService, {
    list: () => keeper.list(),

    // The run is the agent's own: it goes on without its caller.
    async *run({ names }, _call) {
      await keeper.targets(names)
      yield* events((tell) => keeper.run(names, tell, keeper.life))
    },
    async *verify(request, { signal }) {
      yield* events((tell) => keeper.verify(request, tell, signal))
    },
    async *restore(request, _call) {
      yield* events((tell) => keeper.restore(request, tell, keeper.life))
    },
    async *drill({ names }, _call) {
      await keeper.targets(names)
      yield* events((tell) => keeper.drill(names, tell, keeper.life))
    },

    async *export({ name, file }, { signal }) {
      const { file: facts, bytes } = await keeper.read(name, file, signal)
      yield { output: { $case: 'file', value: facts } }
      for await (const chunk of bytes) yield { output: { $case: 'chunk', value: Buffer.from(chunk) } }
      yield { output: { $case: 'end', value: true } }
    },

    async import(input, { signal }) {
      const messages = input[Symbol.asyncIterator]()
      const first = await messages.next()
      const start = first.done === true || first.value.input?.$case !== 'start' ? undefined : first.value.input.value
      if (start === undefined) throw new HiveError('invalid-input', 'the first message must be start')
      const [target] = await keeper.targets([start.name])
      const named = target !== undefined && isFileOf(target.name, target.ext, start.file)
      async function* pieces(): AsyncGenerator<DumpPiece> {
        const hash = createHash('sha256')
        let size = 0
        for (;;) {
          const next = await messages.next()
          signal.throwIfAborted()
          if (next.done === true) return
          if (next.value.input?.$case === 'chunk') {
            hash.update(next.value.input.value)
            size += next.value.input.value.length
            yield { chunk: next.value.input.value }
          }
          if (next.value.input?.$case === 'end') {
            const complete: DumpComplete = { size: BigInt(size), sha256: hash.digest('hex'), stages: [] }
            yield { complete }
            return
          }
        }
      }
      return { file: await keeper.import({ name: start.name, file: named ? start.file : undefined, at: start.at ?? new Date() }, pieces()) }
    },
  })

/** What is told while the work goes on, then its error, if it has one. Events of progress may be left out where the caller is slow. */
async function* events(work: (tell: Tell) => Promise<unknown>): AsyncGenerator<BackupEvent> {
  const outbox = new Outbox<BackupEvent>()
  work((told) => outbox.put(told)).then(
    () => outbox.close(),
    (error: unknown) => outbox.fail(error),
  )
  yield* outbox
}
