/**
 * Runs the test suites named on the command line (unit, ec2, packages, vm, services, lab; none: all) and closes with the line `N passed, N failed`.
 * Where this machine can't hold a suite it runs the rest and says what it left out. What runs beside what is decided by schedule.ts.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { cpus, freemem, getPriority } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { setTimeout as pause } from 'node:timers/promises'
import { ec2Obstacle } from './ec2/obstacle.ts'
import { labObstacle } from './lab/obstacle.ts'
import { packagesObstacle } from './packages/obstacle.ts'
import { type CpuTimes, idleBetween, inOrder, type Job, startable } from './schedule.ts'
import { servicesObstacle } from './services/obstacle.ts'
import { vmObstacle } from './vm/obstacle.ts'

const folder = import.meta.dirname
const root = join(folder, '..')
/** In the order in which they are taken up. */
const suites = ['unit', 'ec2', 'packages', 'vm', 'services', 'lab'] as const
type Suite = (typeof suites)[number]
const obstacles: Readonly<Partial<Record<Suite, () => string | undefined>>> = {
  ec2: ec2Obstacle,
  packages: packagesObstacle,
  vm: vmObstacle,
  services: servicesObstacle,
  lab: labObstacle,
}
/** Files that take minutes, the longest first, so that none of them is left alone at the end. */
const longest: readonly string[] = [
  'vm/ingress',
  'lab/repository',
  'lab/drbd-failover',
  'lab/chaos',
  'lab/faults',
  'lab/aws-deploy',
  'lab/guard',
  'lab/resume',
  'lab/follower',
  'lab/drbd-build',
  'lab/agent-upgrade',
  'lab/certs',
  'lab/phases',
  'lab/ssh-transport',
  'lab/example',
]

/** Files whose hosts have kernels of their own: they would starve beside others, and others beside them. */
const alone: ReadonlySet<string> = new Set(['vm/ingress'])

/** Of this suite files look at no clock: they may run beside such ones. */
const givesWay: Suite = 'packages'

const named = process.argv.slice(2)
for (const name of named.filter((one) => !suites.some((suite) => suite === one))) {
  console.error(`there is no suite ${name}: ${suites.join(', ')}`)
  process.exit(2)
}
for (const name of longest.filter((one) => !existsSync(join(folder, `${one}.test.ts`)))) throw new Error(`test/run.ts names ${name}, which is not there`)
const wanted = suites.filter((suite) => named.length === 0 || named.includes(suite))
const totals = { passed: 0, failed: 0 }
const left: string[] = []
const broken: string[] = []
const running = new Map<Job, Promise<void>>()
/** How much of the processors' time is looked at to decide whether they have nothing to do, milliseconds. */
const window = 15_000
const readings: { readonly at: number; readonly cpus: readonly CpuTimes[] }[] = []
let siteStarted = 0

const held = wanted.filter((suite) => {
  const obstacle = obstacles[suite]?.()
  if (obstacle !== undefined) left.push(`${suite}: ${obstacle}`)
  return obstacle === undefined
})
let waiting = inOrder(held.flatMap(jobsOf), longest)
// What all files of the lab need is made once, before the first of them, and beside all others.
let labReady = !held.includes('lab')
if (!labReady)
  void prepareLab().finally(() => {
    labReady = true
  })
while (waiting.length > 0 || running.size > 0) {
  for (const job of startable(labReady ? waiting : waiting.filter(({ suite }) => suite !== 'lab'), [...running.keys()], machine())) begin(job)
  await Promise.race([...running.values(), pause(1000)])
}
for (const name of broken) console.log(`failed in ${name}`)
for (const reason of left) console.log(`left out ${reason}`)
console.log(`${totals.passed} passed, ${totals.failed} failed`)
process.exit(totals.failed === 0 ? 0 : 1)

/** Unit tests share one process; the others have one for each file. */
function jobsOf(suite: Suite): readonly Job[] {
  if (suite === 'unit') return [{ suite, name: suite }]
  const files = globSync(`${suite}/**/*.test.ts`, { cwd: folder }).sort()
  return files.map((file) => file.replace(/\.test\.ts$/, '')).map((name) => ({ suite, name, alone: alone.has(name), givesWay: suite === givesWay }))
}

function machine(): Parameters<typeof startable>[2] {
  const now = performance.now()
  readings.push({ at: now, cpus: cpus().map(({ times }) => times) })
  while (readings.length > 2 && now - (readings[1]?.at ?? now) > window) readings.shift()
  const [before, after] = [readings[0]?.cpus ?? [], readings.at(-1)?.cpus ?? []]
  return { processors: cpus().length, idle: idleBetween(before, after), freeMemory: freemem(), sinceSite: now - siteStarted }
}

function begin(job: Job): void {
  waiting = waiting.filter((one) => one !== job)
  if (job.suite === 'lab') siteStarted = performance.now()
  const besideOneAlone = [...running.keys()].some((one) => one.alone === true)
  running.set(
    job,
    runJob(job, besideOneAlone).finally(() => {
      running.delete(job)
      if (job.alone === true && running.size > 0) endGivingWay()
    }),
  )
}

/** What gave way is as any other from now on. */
function endGivingWay(): void {
  const group =
    readFileSync('/proc/self/stat', 'utf8')
      .replace(/^.*\) /, '')
      .split(' ')[2] ?? ''
  spawnSync('renice', ['-n', String(getPriority()), '-g', group], { stdio: 'ignore' })
}

async function prepareLab(): Promise<void> {
  const child = spawn(process.execPath, [join(folder, 'lab/prepare.ts')], { stdio: 'inherit', cwd: root })
  // Where it fails, the files fail with the reason.
  await once(child, 'close')
}

/** The report is shown in one piece when the job is done. */
async function runJob({ suite, name }: Job, giveWay: boolean): Promise<void> {
  const began = performance.now()
  const file = join(folder, suite === 'unit' ? 'unit.ts' : `${name}.test.ts`)
  const stream = run({
    files: [file],
    cwd: root,
    isolation: 'process',
    execArgv: suite === 'unit' ? ['--test-timeout=120000'] : giveWay ? ['--import', join(folder, 'give-way.ts')] : [],
  })
  const isLeaf = (details: { type?: string | undefined }): boolean => details.type !== 'suite'
  stream.on('test:pass', ({ details, skip }) => {
    if (isLeaf(details) && skip === undefined) totals.passed += 1
  })
  stream.on('test:fail', ({ details }) => {
    if (!isLeaf(details)) return
    totals.failed += 1
    if (!broken.includes(name)) broken.push(name)
  })
  const report = await text(Readable.from(withoutCounts(stream)).pipe(new spec()))
  console.log(`${name} (${Math.round((performance.now() - began) / 1000)} s)\n${report}`)
}

/** Without the counts that close the report of each run: this program counts over all of them. */
async function* withoutCounts(events: AsyncIterable<{ readonly type: string; readonly data: unknown }>): AsyncIterable<unknown> {
  for await (const event of events) {
    const { nesting, file } = event.data as { readonly nesting?: number; readonly file?: string }
    if (event.type === 'test:diagnostic' && nesting === 0 && file === undefined) continue
    yield event
  }
}
