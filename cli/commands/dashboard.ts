/** `hivecoord dashboard`: a page of this machine that shows the stage live, and with --operate does a little. */
import type { Command } from 'commander'
import { askingFacts } from '../../coordinator/dashboard/facts.ts'
import { Poller } from '../../coordinator/dashboard/poller.ts'
import { RunsReader } from '../../coordinator/dashboard/runs-reader.ts'
import { Stage } from '../../coordinator/index.ts'
import { mirroredVolumesOf, mirrorsWithDrbd } from '../../coordinator/inventory/mirrored-volumes.ts'
import { localLockHolder } from '../../coordinator/run/local-lock.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { refuseCommand } from '../command-roles.ts'
import { StageOperator } from '../dashboard/operations.ts'
import { Dashboard } from '../dashboard/server.ts'
import { viewOf } from '../dashboard/view.ts'
import { inStageNetwork, outside } from '../listen-outside.ts'
import { port as portNumber } from './numbers.ts'

/** Milliseconds between two questions to the hosts, and between two looks at what this machine knows of its runs. */
const hostsInterval = 4_000
const runsInterval = 1_000
const shownRuns = 10

export function registerDashboard(program: Command, app: () => App): void {
  program
    .command('dashboard')
    .description('show the stage live on a web page of this machine, until interrupted')
    .option('-p, --port <port>', 'of 127.0.0.1; 0 is any that is free', portNumber, 0)
    .option('--operate', 'let the page restart, scale and roll back services, and drain and undrain hosts; each is asked about before')
    .action(async (options: { port: number; operate?: boolean }) => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const { site, state, agents, provider } = stage
      if (options.operate === true) refuseCommand(['host', 'drain'], site.contextDir)

      const hosts = new Poller({
        ask: askingFacts({ site, state, agents, provider, consult: (asked) => stage.consult(undefined, asked) }),
        interval: hostsInterval,
      })
      const reader = new RunsReader(site.contextDir, shownRuns)
      const runs = new Poller({ ask: async () => ({ runs: reader.look(), busy: localLockHolder(site.contextDir) !== undefined }), interval: runsInterval })
      const operator =
        options.operate === true
          ? new StageOperator({
              stage,
              open: (emit) => new Stage(site, { root: site.root, stage: site.stage, contextDir: site.contextDir, writes: false, emit, signal }),
              signal,
              changed: () => dashboard.push(),
            })
          : undefined
      const shown = { ...site, mirrored: mirrorsWithDrbd(site) ? mirroredVolumesOf(site).map(({ name }) => name) : [] }
      let address = ''
      const dashboard: Dashboard = new Dashboard({
        pollers: [hosts, runs],
        view: () =>
          viewOf({
            site: shown,
            facts: hosts.latest,
            runs: runs.latest?.runs ?? [],
            busy: runs.latest?.busy ?? false,
            operates: operator !== undefined,
            operations: operator?.operations ?? [],
          }),
        at: () => hosts.latest?.at.toLocaleTimeString('sv') ?? '',
        operator,
        opened: (path) => renderer.event({ code: 'notice', message: `opened; for another browser: ${address}${path}` }),
        signal,
      })
      const { port, ended } = inStageNetwork() ? await outside(options.port, (path) => listen(dashboard, path), signal) : await listen(dashboard, options.port)
      address = `http://127.0.0.1:${port}`
      const how = operator === undefined ? 'It only shows; --operate lets it do something' : 'It may operate, by your certificate'
      renderer.result({ url: `${address}${dashboard.path}`, operates: operator !== undefined }, `${address}${dashboard.path}\n${how}. Ctrl-C ends it`)
      await ended
      hosts.close()
      runs.close()
      await operator?.settled()
    })
}

/** A port of 127.0.0.1, or a socket's path. Rejects with HiveError 'conflict' for a port that is taken. */
async function listen({ server }: Dashboard, where: number | string): Promise<{ readonly port: number; readonly ended: Promise<void> }> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(new HiveError('conflict', `${where} could not be opened: ${cause.message}`, { hint: '--port 0 takes any that is free' })),
    )
    if (typeof where === 'string') server.listen(where, resolve)
    else server.listen(where, '127.0.0.1', resolve)
  })
  const address = server.address()
  return {
    port: address === null || typeof address === 'string' ? 0 : address.port,
    ended: new Promise((resolve) => server.once('close', () => resolve())),
  }
}
