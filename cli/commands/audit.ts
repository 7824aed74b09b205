/** `hivecoord audit`: who did what on the hosts, as their agents kept it. */
import type { Command } from 'commander'
import pc from 'picocolors'
import type { AuditEntry } from '#gen/hive/v1/trust.ts'
import { reportOf } from '../../coordinator/client/errors.ts'
import type { App } from '../app.ts'
import { leftOutExitCode } from '../exit-codes.ts'
import { columns, shortHost } from '../render/format.ts'
import { findHost } from './find-host.ts'
import { parseSince } from './logs.ts'
import { positive } from './numbers.ts'

/** Milliseconds. */
const deadline = 30_000

interface Found extends AuditEntry {
  readonly host: string
}

export function registerAudit(program: Command, app: () => App): void {
  program
    .command('audit')
    .description('show who did what on the hosts: calls that may have changed something, and calls that were refused')
    .argument('[host]', 'default: all')
    .option('--since <time>', '10m, 2h, 1d or a time; default 1d', parseSince)
    .option('--by <name>', 'of the caller as in the certificate, USER@MACHINE, or USER alone')
    .option('--refused', 'only what was refused or failed')
    .option('-n, --limit <n>', 'the last so many of each host', positive, 200)
    .action(async (name: string | undefined, options: { since?: Date; by?: string; limit: number; refused?: boolean }) => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const hosts = name === undefined ? stage.site.hosts : [findHost(stage.site, name)]
      const from = options.since ?? new Date(Date.now() - 24 * 3_600_000)
      const asked = await stage.agents.askAll(
        hosts.map((host) => host.name),
        async ({ audit }) => {
          const entries: AuditEntry[] = []
          for await (const entry of audit.read(
            { since: from, by: options.by ?? '', limit: options.limit, failedOnly: options.refused === true },
            { signal, deadline },
          ))
            entries.push(entry)
          return entries
        },
        signal,
      )
      const found = [...asked].flatMap(([host, given]): Found[] => ('error' in given ? [] : given.answer.map((entry) => ({ ...entry, host }))))
      const errors = [...asked].flatMap(([host, given]) => ('error' in given ? [reportOf(given.error, host)] : []))
      const shown = found.toSorted((a, b) => (a.at?.getTime() ?? 0) - (b.at?.getTime() ?? 0))
      for (const error of errors) renderer.error(error)
      renderer.result(shown, shown.length === 0 ? 'nothing' : columns(shown.map(rowOf)))
      if (errors.length === asked.size && errors.length > 0) process.exitCode = 1
      else if (errors.length > 0) process.exitCode = leftOutExitCode
    })
}

function rowOf({ host, at, caller, role, rpc, request, ok, code, message }: Found): readonly string[] {
  const what = request === '' || request === '{}' ? '' : request.length > 120 ? `${request.slice(0, 120)}…` : request
  return [
    at?.toISOString().slice(0, 19) ?? '',
    shortHost(host),
    caller,
    role.replace('hive:', ''),
    rpc.replace(/^hive\.v1\./, ''),
    ok ? pc.dim(what) : pc.red(`${code}: ${message}`),
  ]
}
