/**
 * An agent in a process of its own, for tests that may end it: FOLDER with pki/. It finds neither docker nor any tool, its steps look at this
 * machine and change nothing of it. Its port is its first line of output, its log the others.
 */
import { join } from 'node:path'
import pino from 'pino'
import { useDockerSocket } from '../../../agent/adapters/docker.ts'
import { startAgent } from '../../../agent/server/agent.ts'
import type { Executor, Executors } from '../../../agent/steps/executor.ts'
import { executors } from '../../../agent/steps/index.ts'
import { HiveError } from '../../../proto/errors.ts'

const [folder, host] = process.argv.slice(2)
if (folder === undefined || host === undefined) throw new Error('FOLDER HOST')
process.env['PATH'] = join(folder, 'no-tools')
useDockerSocket(join(folder, 'no-docker'))
const nothing = async (): Promise<never> => {
  throw new HiveError('unsupported', 'steps change nothing here')
}
const harmless = Object.fromEntries(
  Object.entries(executors).map(([kind, executor]) => [kind, { ...(executor as Executor<unknown>), apply: nothing, cleanup: async () => undefined }]),
) as unknown as Executors
const agent = await startAgent({
  config: { host, address: '127.0.0.1', port: 0, stateDir: join(folder, 'state'), pkiDir: join(folder, 'pki') },
  executors: harmless,
  log: pino({ base: null }),
  listen: '127.0.0.1',
  handshake: 2000,
  backups: {
    configPath: join(folder, 'backups.json'),
    places: { running: async () => [], place: nothing, rehearse: nothing },
  },
})
process.stdout.write(`${agent.port}\n`)
process.on('SIGTERM', () => void agent.stop().then(() => process.exit(0)))
