/** `hivecoord hold`: keeps the supervisors of mirrored volumes from acting, shows what they saw and did, and lets them go on. */
import type { Command } from 'commander'
import pc from 'picocolors'
import type { SupervisorEvidence, SupervisorStatus } from '#gen/hive/v1/supervisor.ts'
import type { AgentClient } from '../../coordinator/client/agent-client.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { leftOutExitCode } from '../exit-codes.ts'
import { columns, shortHost } from '../render/format.ts'
import { findHost } from './find-host.ts'
import { seconds } from './numbers.ts'

/** Milliseconds. */
const deadline = 10_000

interface Answer {
  readonly host: string
  readonly status?: SupervisorStatus
  readonly error?: HiveError
}
type Ask = (client: AgentClient, options: { readonly signal: AbortSignal; readonly deadline: number }) => Promise<SupervisorStatus>

export function registerHold(program: Command, app: () => App): void {
  /** Asks all chosen hosts at once, shows what each answers, and fails where none did. */
  const onAll = async (names: readonly string[], ask: Ask, withEvidence = false): Promise<void> => {
    const { open, renderer, signal } = app()
    const stage = await open()
    const chosen = new Set(names.map((name) => findHost(stage.site, name).name))
    const hosts = stage.site.hosts.map(({ name }) => name).filter((name) => chosen.size === 0 || chosen.has(name))
    const asked = await stage.agents.askAll(hosts, (client) => ask(client, { signal, deadline }), signal)
    const answers = [...asked].map(([host, given]): Answer => ('error' in given ? { host, error: given.error } : { host, status: given.answer }))
    renderer.result(answers.map(asJson), answers.flatMap((answer) => linesOf(answer, withEvidence)).join('\n'))
    const failed = answers.flatMap(({ error }) => (error === undefined ? [] : [error]))
    if (failed[0] !== undefined && failed.length === answers.length) throw failed[0]
    if (failed.length > 0) process.exitCode = leftOutExitCode
  }

  const hold = program
    .command('hold')
    .description('keep the supervisors of mirrored volumes from acting, on all hosts or these')
    .argument('[hosts...]', 'default: all')
    .option('--for <time>', 'until then: 30m, 2h, 1d; else until released', seconds)
    .option('--reason <text>', 'why, for those who find it held')
    .action(async (names: readonly string[], options: { for?: number; reason?: string }) => {
      const { reason } = options
      if (reason === undefined || reason.trim() === '')
        throw new HiveError('invalid-input', 'a hold needs a reason', { hint: 'add --reason "…": others will ask for it' })
      await onAll(names, ({ supervisor }, call) => supervisor.hold({ reason, seconds: options.for ?? 0 }, call))
    })
  hold
    .command('release')
    .description('let supervisors act again, also where they gave up')
    .argument('[hosts...]', 'default: all')
    .action((names: readonly string[]) => onAll(names, ({ supervisor }, call) => supervisor.release({}, call)))
  hold
    .command('list')
    .description('show which supervisors are held, and where they gave up')
    .argument('[hosts...]', 'default: all')
    .option('--evidence', 'also what they saw and did')
    .action((names: readonly string[], options: { evidence?: boolean }) =>
      onAll(names, ({ supervisor }, call) => supervisor.status({}, call), options.evidence === true),
    )
}

const asJson = ({ host, status, error }: Answer): unknown =>
  status === undefined ? { host, error: { code: error?.code, message: error?.message } } : { host, ...status }

function linesOf({ host, status, error }: Answer, withEvidence: boolean): readonly string[] {
  const name = shortHost(host)
  if (status === undefined) return [`${name}  ${pc.red(error?.message ?? 'no answer')}`]
  const evidence = withEvidence ? status.evidence.flatMap(evidenceLines) : []
  return [`${name}  ${standing(status)}`, ...status.givenUp.map((one) => `  ${pc.red(givenUpWords(one))}`), ...evidence.map((line) => `  ${line}`)]
}

function standing({ hold, looked, doing }: SupervisorStatus): string {
  if (hold !== undefined) return pc.yellow(holdWords(hold))
  if (doing !== '') return `now: ${doing}`
  return looked === undefined ? 'nothing to watch' : `watches, last look ${looked.toISOString()}`
}

const evidenceLines = ({ at, volume, signature, kind, what, lines }: SupervisorEvidence): readonly string[] => [
  columns([[at?.toISOString() ?? '', volume, signature, kind, what]]),
  ...lines.map((line) => `    ${line}`),
]

/** "held by admin since … until …: why" */
export const holdWords = ({ by, since, until, reason }: NonNullable<SupervisorStatus['hold']>): string =>
  `held by ${by} since ${since?.toISOString() ?? '?'}${until === undefined ? '' : ` until ${until.toISOString()}`}: ${reason}`

export const givenUpWords = ({ volume, signature, since, why }: SupervisorStatus['givenUp'][number]): string =>
  `gave up on ${volume} (${signature}) at ${since?.toISOString() ?? '?'}: ${why}`
