/** The command line: global options, the commands, and one place where errors become text and an exit code. */
import { Command, CommanderError, Option } from 'commander'
import { phaseNames } from '../coordinator/events.ts'
import { contextDirOf, loadSettings } from '../coordinator/inventory/settings.ts'
import { stageNames } from '../coordinator/inventory/site.ts'
import { version } from '../coordinator/version.ts'
import { HiveError, messageOf } from '../proto/errors.ts'
import { type GlobalOptions, globalOptions, makeApp } from './app.ts'
import { refuseCommand, roleOfCommand } from './command-roles.ts'
import { registerAgent } from './commands/agent.ts'
import { registerAudit } from './commands/audit.ts'
import { registerBackup } from './commands/backup.ts'
import { registerCall } from './commands/call.ts'
import { registerCert } from './commands/cert.ts'
import { registerCompletion } from './commands/completion.ts'
import { registerContext } from './commands/context.ts'
import { registerCopy } from './commands/copy.ts'
import { registerDashboard } from './commands/dashboard.ts'
import { registerDeploy } from './commands/deploy.ts'
import { registerDoctor } from './commands/doctor.ts'
import { registerDrbd } from './commands/drbd.ts'
import { registerDrift } from './commands/drift.ts'
import { registerDrill } from './commands/drill.ts'
import { registerExec } from './commands/exec.ts'
import { registerHold } from './commands/hold.ts'
import { registerHost } from './commands/host.ts'
import { registerImages } from './commands/images.ts'
import { registerInventory } from './commands/inventory.ts'
import { registerLab } from './commands/lab.ts'
import { registerLogs } from './commands/logs.ts'
import { registerNode } from './commands/node.ts'
import { registerPlan } from './commands/plan.ts'
import { registerPower } from './commands/power.ts'
import { registerRebalance } from './commands/rebalance.ts'
import { registerRuns } from './commands/runs.ts'
import { registerSettings } from './commands/settings.ts'
import { registerSsh } from './commands/ssh.ts'
import { registerStatus } from './commands/status.ts'
import { registerSupportBundle } from './commands/support-bundle.ts'
import { registerSwarm } from './commands/swarm.ts'
import { registerTasks } from './commands/tasks.ts'
import { registerVolume } from './commands/volume.ts'
import { registerZabbix } from './commands/zabbix.ts'
import { rendererFor } from './render/renderer.ts'
import { reportOf } from './render/report.ts'

/**
 * 1: it failed, 2: the input is wrong and nothing was touched, 3: another run holds the site, 130: interrupted. Commands add 4 (plan
 * --exit-code: something would change) and 5 (deploy: done, but for hosts that did not answer).
 */
const exitCodes: Readonly<Record<string, number>> = { 'invalid-input': 2, locked: 3, cancelled: 130 }

/** Options that are also understood behind a command's name, where the command does not pass its own arguments on. */
const everywhere = (): Option[] => [
  new Option('-r, --root <folder>').hideHelp(),
  new Option('-s, --stage <stage>').choices(stageNames).hideHelp(),
  new Option('-o, --output <form>').choices(['text', 'json']).hideHelp(),
  new Option('--verbose').hideHelp(),
]

function addEverywhere(command: Command, passesOn: ReadonlySet<string>): void {
  for (const nested of command.commands) {
    if (passesOn.has(nested.name())) continue
    for (const option of everywhere()) nested.addOption(option)
    addEverywhere(nested, passesOn)
  }
}

export interface CommandLine {
  readonly program: Command
  options(): GlobalOptions
  close(): void
  abort(): void
}

/** All commands, nothing run yet. */
export function buildProgram(): CommandLine {
  const program = new Command('hivecoord')
    .description('Turns an inventory into a running site of containers.')
    .version(version)
    .option('-r, --root <folder>', 'the site folder', '.')
    .addOption(new Option('-s, --stage <stage>', 'the stage, else the one that is set, else private').choices(stageNames))
    .option('-i, --inventory <folder>', 'the inventory folder, else ROOT/inventory')
    .option('-c, --context-dir <folder>', "the stage's context folder, else ROOT/.hive/STAGE")
    .addOption(new Option('-o, --output <form>', 'form of what is shown').choices(['text', 'json']).default('text'))
    .option('-v, --verbose', 'also show what does not change, and what tools say')
    .enablePositionalOptions()
    .showSuggestionAfterError()
    .exitOverride()
  const controller = new AbortController()
  let made: ReturnType<typeof makeApp> | undefined
  let running: Command | undefined
  program.hook('preAction', (_program, action) => {
    running = action
    refuseByRole(action, options())
  })
  const options = (): GlobalOptions => globalOptions(program, running)
  const app = () => {
    made ??= makeApp(options(), controller.signal)
    return made
  }
  registerDeploy(program, app)
  registerPlan(program, app)
  registerStatus(program, app)
  registerDoctor(program, app)
  registerDrift(program, app)
  registerSupportBundle(program, app)
  registerRuns(program, app)
  registerDashboard(program, app)
  registerInventory(program, app)
  registerSettings(program, app)
  registerExec(program, app)
  registerTasks(program, app)
  registerCopy(program, app)
  registerLogs(program, app)
  registerSsh(program, app)
  registerNode(program, app)
  registerSwarm(program, app)
  registerVolume(program, app)
  registerZabbix(program, app)
  registerDrbd(program, app)
  registerBackup(program, app)
  registerCall(program, app)
  registerHold(program, app)
  registerHost(program, app)
  registerRebalance(program, app)
  registerDrill(program, app)
  registerImages(program, app)
  registerAgent(program, app)
  registerCert(program, app)
  registerAudit(program, app)
  registerContext(program, app)
  registerPower(program, app)
  registerLab(program, app)
  registerCompletion(program, app)
  addEverywhere(program, new Set(['exec', 'ssh', 'complete']))
  const abort = (): void => {
    if (running !== undefined && ['deploy', 'delete', ...phaseNames].includes(running.name()))
      made?.renderer.event({ code: 'notice', message: 'stopping what has begun; once more leaves at once' })
    controller.abort(new HiveError('cancelled', 'interrupted'))
  }
  return { program, options, close: () => made?.close(), abort }
}

/** The command's words, from the outside in. */
const wordsOf = (command: Command): readonly string[] => (command.parent === null ? [] : [...wordsOf(command.parent), command.name()])

function refuseByRole(command: Command, { root, stage, contextDir }: GlobalOptions): void {
  const words = wordsOf(command)
  if (roleOfCommand(words) === 'local') return
  let folder: string
  try {
    folder = contextDir ?? contextDirOf(root, loadSettings(root, stage).stage)
  } catch {
    // Told by the command itself, with all that is wrong.
    return
  }
  refuseCommand(words, folder)
}

export async function main(): Promise<void> {
  const { program, options, close, abort } = buildProgram()
  let interrupts = 0
  const interrupt = (): void => {
    interrupts += 1
    if (interrupts > 1) process.exit(130)
    abort()
  }
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1))
  // Nobody reads what happens any more: the work goes on, its end is in the exit code and the journal.
  process.stderr.on('error', () => undefined)
  try {
    await program.parseAsync()
  } catch (error) {
    process.exitCode = fail(interrupts > 0 && !(error instanceof HiveError) ? new HiveError('cancelled', 'interrupted') : error, options())
  } finally {
    close()
  }
  // Connections and timers may be left; what was written to a pipe must have gone out before they are cut.
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((resolve) => stream.write('', resolve))))
  process.exit()
}

function fail(error: unknown, options: GlobalOptions): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
  const renderer = rendererFor(options.output, options.verbose)
  for (const report of reportOf(error)) renderer.error(report)
  if (!(error instanceof HiveError) && options.verbose && error instanceof Error) process.stderr.write(`${error.stack ?? messageOf(error)}\n`)
  return error instanceof HiveError ? (exitCodes[error.code] ?? 1) : 1
}
