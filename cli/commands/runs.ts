/** `hivecoord runs`: the journals of this admin box's runs, and what agents still do. */
import type { Command } from 'commander'
import type { HiveEvent } from '../../coordinator/events.ts'
import { followRun, listRuns, readRun } from '../../coordinator/run/journal.ts'
import type { App } from '../app.ts'
import { columns } from '../render/format.ts'
import { positive } from './numbers.ts'

export function registerRuns(program: Command, app: () => App): void {
  const runs = program.command('runs').description('list runs, newest first')
  runs.option('--limit <n>', 'how many', positive, 20).action(async (options: { limit: number }) => {
    const { open, renderer } = app()
    const { site } = await open()
    const records = listRuns(site.contextDir, options.limit)
    const rows = records.map((r) => [
      r.runId,
      r.command,
      r.finished === undefined ? 'not finished' : r.ok === true ? 'ok' : 'failed',
      `${r.changed ?? '-'} changed`,
      `${r.errors ?? '-'} errors`,
    ])
    renderer.result(records, columns(rows))
  })
  runs
    .command('show')
    .description('show the events of a run')
    .argument('<run>')
    .action(async (runId: string) => {
      const { open, renderer, options } = app()
      const { site } = await open()
      const entries = readRun(site.contextDir, runId)
      if (options.output === 'json') renderer.result(entries, '')
      else for (const { event } of entries) renderer.event(event as HiveEvent)
    })
  runs
    .command('watch')
    .description('follow a run of this admin box; without an id: what agents still do')
    .argument('[run]')
    .action(async (runId: string | undefined) => {
      const { open, renderer, signal } = app()
      const stage = await open()
      if (runId !== undefined) {
        for await (const { event } of followRun(stage.site.contextDir, runId, signal)) renderer.event(event as HiveEvent)
        return
      }
      const watched = await stage.watchActive(signal)
      renderer.result({ watched }, watched === 0 ? 'no agent works on anything' : '')
    })
  runs
    .command('cancel')
    .description('ask agents to stop what they still do')
    .action(async () => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const cancelled = await stage.cancelActive(signal)
      renderer.result({ cancelled }, `${cancelled} stopped`)
    })
}
