/** Containers of this host: list, logs, and a command inside one. */
import { Readable } from 'node:stream'
import { ContainerServiceService, type WriteFilesRequest } from '#gen/hive/v1/docker.ts'
import type { LogLine } from '#gen/hive/v1/host.ts'
import { HiveError } from '../../../proto/errors.ts'
import type { ContainerListed } from '../../adapters/docker/api-types.ts'
import { readFiles, statFile, writeFiles } from '../../adapters/docker/container-files.ts'
import { containerLogs, timeOf } from '../../adapters/docker/logs.ts'
import { dockerGet } from '../../adapters/docker.ts'
import type { ServerContext } from '../context.ts'
import { type ServiceRegistration, service } from '../service.ts'
import { exec } from './exec.ts'
import { Outbox } from './outbox.ts'

const serviceLabel = 'com.docker.swarm.service.name'
/** Lines that wait for the caller before docker's stream is paused: a log may be larger than the agent's memory. */
const fullOutbox = 256
const taskLabel = 'com.docker.swarm.task.id'

export const containerService = (_context: ServerContext, healthy: (signal: AbortSignal) => Promise<boolean>): ServiceRegistration =>
  service(
    ContainerServiceService,
    {
      async list({ all, service: name }, { signal }) {
        const query = { all: String(all), ...(name === '' ? {} : { filters: { label: [`${serviceLabel}=${name}`] } }) }
        const containers = await dockerGet<readonly ContainerListed[]>('/containers/json', { query, signal })
        return {
          containers: containers.map((container) => ({
            id: container.Id,
            name: (container.Names[0] ?? '').replace(/^\//, ''),
            image: container.Image,
            state: container.State,
            status: container.Status,
            service: container.Labels?.[serviceLabel] ?? '',
            taskId: container.Labels?.[taskLabel] ?? '',
          })),
        }
      },

      exec: (input, { signal }) => exec(input, signal),

      async *logs({ container, follow, tail, since, timestamps }, { signal }) {
        const outbox = new Outbox<LogLine>()
        const options = { follow, tail: tail === 0 ? undefined : tail, since, timestamps: true, signal }
        let source: Readable | undefined
        containerLogs(container, options, ({ stream, line }, body) => {
          source = body
          // Docker puts the time before the line; it travels apart, and in the line only when asked for.
          const { at, text } = timeOf(line)
          if (outbox.put({ at, source: container, line: timestamps ? line : text, stderr: stream === 'stderr' }) >= fullOutbox) body.pause()
        }).then(
          () => outbox.close(),
          (error: unknown) => outbox.fail(error),
        )
        for await (const line of outbox) {
          yield line
          if (outbox.waiting === 0) source?.resume()
        }
      },

      async statFile({ container, path }, { signal }) {
        const file = await statFile(container, path, signal)
        return { exists: file !== undefined, folder: file?.folder ?? false, size: BigInt(file?.size ?? 0), linkTarget: file?.linkTarget ?? '' }
      },

      async *readFiles({ container, path }, { signal }) {
        for await (const chunk of await readFiles(container, path, signal)) yield { archive: chunk as Buffer }
      },

      async writeFiles(input, { signal }) {
        const messages = input[Symbol.asyncIterator]()
        const first = await messages.next()
        const start = first.done === true || first.value.input?.$case !== 'start' ? undefined : first.value.input.value
        if (start === undefined) throw new HiveError('invalid-input', 'the first message of WriteFiles must be start')
        await writeFiles({ ...start, archive: Readable.from(archiveParts(messages), { objectMode: false }) }, signal)
        return {}
      },
    },
    healthy,
  )

async function* archiveParts(messages: AsyncIterator<WriteFilesRequest>): AsyncGenerator<Uint8Array, void> {
  for (let next = await messages.next(); next.done !== true; next = await messages.next()) {
    if (next.value.input?.$case !== 'archive') throw new HiveError('invalid-input', 'start may be sent once only')
    yield next.value.input.value
  }
}
