/** `hivecoord doctor`: what is wrong with a stage, the evidence, and the way out; what can be done from here is done on confirmation. */
import type { Command } from 'commander'
import pc from 'picocolors'
import { carryOut, type Finding, operationsOf, type Repair, rankOf, type Stage } from '../../coordinator/index.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { foundExitCode } from '../exit-codes.ts'
import { shortHost } from '../render/format.ts'
import { answerTo, canAsk } from './ask.ts'
import { findHost } from './find-host.ts'

/** Repairs in a row: each is followed by a new look, and what it shows may ask for another. */
const mostRepairs = 12

interface DoctorOptions {
  readonly repair?: boolean
  readonly giveUp?: string
  readonly keep?: string
  readonly confirm?: string
  readonly exitCode?: boolean
}

export function registerDoctor(program: Command, app: () => App): void {
  program
    .command('doctor')
    .description('name what is wrong with the site, show the evidence, and repair it on confirmation')
    .argument('[volume]', 'only this mirrored volume; default: the whole site')
    .option('--repair', 'do the repairs that give up no data, without asking')
    .option('--give-up <host>', 'split brain: the host whose own changes are given up, after a snapshot of its disk; needs the volume and --confirm')
    .option('--keep <host>', 'no valid copy: the host whose copy is declared to be the data; needs the volume and --confirm')
    .option('--confirm <volume>', "the volume's name once more")
    .option('--exit-code', 'exit with 4 where something is wrong')
    .action(async (volume: string | undefined, options: DoctorOptions) => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const chosenHost = options.giveUp ?? options.keep
      if (chosenHost !== undefined && (volume === undefined || options.confirm !== volume))
        throw new HiveError('blocked', 'data are given up only where the volume is named twice', {
          hint: `hivecoord doctor ${volume ?? 'VOLUME'} --${options.giveUp === undefined ? 'keep' : 'give-up'} ${chosenHost} --confirm ${volume ?? 'VOLUME'}`,
        })
      const host = chosenHost === undefined ? undefined : findHost(stage.site, chosenHost).name
      let findings = await stage.consult(volume, signal)
      const done: string[] = []
      const offered = new Set<string>()
      for (let count = 0; count < mostRepairs; count++) {
        const next = await chooseRepair(findings, offered, { ...options, host, signal })
        if (next === undefined) break
        const { finding, repair } = next
        await carryOut(finding.volume ?? '', repair, operationsOf(stage.agents, mirroringHosts(stage), signal), (line) => {
          done.push(line)
          renderer.event({ code: 'notice', message: line })
        })
        findings = await stage.consult(volume, signal)
      }
      renderer.result({ findings: findings.map(asJson), repaired: done }, [...done, ...textOf(findings, volume)].join('\n'))
      if (options.exitCode === true && findings.length > 0) process.exitCode = foundExitCode
    })
}

interface Chosen {
  readonly finding: Finding
  readonly repair: Repair
}

const keyOf = ({ finding: { state, volume, hosts }, repair }: Chosen): string => [state, volume, ...hosts, repair.title].join(' ')
const mirroringHosts = ({ site }: Stage): readonly string[] => site.hosts.filter(({ isHive }) => isHive).map(({ name }) => name)

/**
 * The gravest that may be done now; what was declined or tried is not offered again. A choice is made by option, or by typing the host's name
 * and then the volume's.
 */
async function chooseRepair(
  findings: readonly Finding[],
  offered: Set<string>,
  { repair: all, host, signal }: { readonly repair?: boolean; readonly host: string | undefined; readonly signal: AbortSignal },
): Promise<Chosen | undefined> {
  const isNew = (chosen: Chosen): boolean => {
    const key = keyOf(chosen)
    if (offered.has(key)) return false
    offered.add(key)
    return true
  }
  for (const finding of findings) {
    const { repair, choices } = finding
    const choice = host === undefined ? undefined : choices.get(host)
    if (choice !== undefined && isNew({ finding, repair: choice })) return { finding, repair: choice }
    if (host !== undefined) continue
    if (repair !== undefined && (all === true || canAsk()) && isNew({ finding, repair })) {
      if (all === true || (await agreed(finding, repair, signal))) return { finding, repair }
    }
    if (choices.size > 0 && all !== true && canAsk()) {
      const chosen = await chosenOf(finding, offered, signal)
      if (chosen !== undefined && isNew({ finding, repair: chosen })) return { finding, repair: chosen }
    }
  }
  return undefined
}

async function agreed(finding: Finding, repair: Repair, signal: AbortSignal): Promise<boolean> {
  process.stderr.write(`${lines(finding).join('\n')}\n`)
  return /^y(?:es)?$/i.test(await answerTo(`${repair.title}? [y/N] `, signal))
}

async function chosenOf(finding: Finding, offered: Set<string>, signal: AbortSignal): Promise<Repair | undefined> {
  const key = `asked ${finding.state} ${finding.volume ?? ''} ${finding.hosts.join(' ')}`
  if (offered.has(key)) return undefined
  offered.add(key)
  process.stderr.write(`${lines(finding).join('\n')}\n`)
  const answer = await answerTo(`${question(finding)} (${[...finding.choices.keys()].map(shortHost).join(', ')}; nothing: none) `, signal)
  const repair = [...finding.choices].find(([host]) => host === answer || shortHost(host) === answer)?.[1]
  if (repair === undefined) return undefined
  return (await answerTo(`${repair.title}. Type ${finding.volume ?? ''} to go on: `, signal)) === finding.volume ? repair : undefined
}

const question = ({ state }: Finding): string => (state === 'split-brain' ? 'Whose changes are given up?' : 'Whose copy is declared to be the data?')

const textOf = (findings: readonly Finding[], volume: string | undefined): readonly string[] =>
  findings.length === 0
    ? [volume === undefined ? 'nothing is wrong' : `nothing is wrong with ${volume}`]
    : findings.flatMap((finding) => ['', ...lines(finding)]).slice(1)

const colours: Readonly<Record<1 | 2 | 3, (text: string) => string>> = { 1: pc.red, 2: pc.yellow, 3: pc.cyan }

function lines(finding: Finding): readonly string[] {
  const { state, volume, title, evidence, advice, command, repair, choices } = finding
  const option = state === 'split-brain' ? 'give-up' : 'keep'
  return [
    `${colours[rankOf(state)](state)}  ${title}`,
    ...evidence.map((line) => `    ${line}`),
    ...(advice === '' ? [] : [`  ${advice}`]),
    ...(repair === undefined ? [] : [`  → ${repair.title}: hivecoord doctor${volume === undefined ? '' : ` ${volume}`} --repair`]),
    ...(command === '' ? [] : [`  → ${command}`]),
    ...[...choices.keys()].map((host) => `  → hivecoord doctor ${volume} --${option} ${shortHost(host)} --confirm ${volume}`),
  ]
}

const asJson = ({ state, volume, hosts, title, evidence, advice, command, repair, choices }: Finding): unknown => ({
  state,
  rank: rankOf(state),
  volume,
  hosts,
  title,
  evidence,
  advice,
  command,
  repair: repair === undefined ? undefined : { title: repair.title, actions: repair.actions },
  choices: [...choices].map(([host, choice]) => ({ host, title: choice.title, actions: choice.actions })),
})
