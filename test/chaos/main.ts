/** `npm run chaos`: random faults on a site of this machine under load, see docs/develop.md. Takes its hosts away again. */
import { randomInt } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { machineLine, machineNow } from '../../bench/report.ts'
import { messageOf } from '../../proto/errors.ts'
import { labObstacle } from '../lab/obstacle.ts'
import { ChaosLab } from './lab.ts'
import { type Options, parseOptions, usage } from './options.ts'
import { inText, isGood, summarize } from './report.ts'
import { run } from './run.ts'

const say = (text: string): void => void process.stderr.write(`${new Date().toTimeString().slice(0, 8)} ${text}\n`)

async function chaos({ minutes, kinds, database, json, seed }: Options & { readonly seed: number }): Promise<boolean> {
  const machine = machineLine(machineNow(loadavg()[0] ?? 0))
  say('making the site')
  const lab = await ChaosLab.make({ database, say })
  let report: Awaited<ReturnType<typeof run>>
  let left: string | undefined
  try {
    say('it stands, and its clients ask')
    const end = performance.now() + minutes * 60_000
    report = await run(lab, { seed, kinds, machine, goesOn: () => performance.now() < end })
  } finally {
    say('taking the site away')
    left = await lab.end().then(() => undefined, messageOf)
  }
  if (left !== undefined) report = { ...report, left: [...report.left, left] }
  process.stdout.write(`${inText(report)}\n`)
  if (json !== undefined) writeFileSync(json, `${JSON.stringify({ ...report, kinds: summarize(report.rounds) }, null, 2)}\n`)
  return isGood(report)
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2))
  if (options === 'help') {
    process.stdout.write(usage)
    return 0
  }
  const seed = options.seed ?? randomInt(2 ** 32)
  process.stdout.write(`seed ${seed}\n`)
  const obstacle = labObstacle()
  if (obstacle !== undefined) {
    process.stderr.write(`the chaos suite makes hosts on this machine: ${obstacle}\n`)
    return 1
  }
  return (await chaos({ ...options, seed })) ? 0 : 1
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`${messageOf(error)}\n`)
  process.exitCode = 1
}
process.exit()
