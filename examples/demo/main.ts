/**
 * The main job on this machine, for real: makes four hosts, deploys the example site, asks it, switches off the host that
 * runs the database, waits until the name server answers with the same data again, sums up, and takes everything away.
 *
 *   --keep   leave the site running and say how to go on
 */
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { HiveEvent } from '../../coordinator/events.ts'
import { ensureBaseRoot } from '../../coordinator/providers/nspawn/base-root.ts'
import { assertMachineCan, ensureTools } from '../../coordinator/providers/nspawn/tools.ts'
import { buildCli } from '../../packaging/build-cli.mjs'
import { buildPackage } from '../../packaging/build-packages.mjs'
import { must, run } from './command.ts'

const checkout = new URL('../..', import.meta.url).pathname
const keep = process.argv.includes('--keep')
const times: [string, number][] = []
const abort = new AbortController()
process.on('SIGINT', () => abort.abort(new Error('interrupted')))
process.on('SIGTERM', () => abort.abort(new Error('interrupted')))

const site = join(mkdtempSync(join(tmpdir(), 'hive-demo-')), 'pdns')
const hivecoord = [process.execPath, join(checkout, 'packaging/hivecoord.mjs'), '--root', site, '--stage', 'private']
const say = (text: string): void => console.log(text)

async function timed<T>(what: string, work: () => Promise<T>): Promise<T> {
  const started = performance.now()
  const answer = await work()
  times.push([what, performance.now() - started])
  abort.signal.throwIfAborted()
  return answer
}

/** What needs the internet or much time, once: tools, the hosts' base system, the site's base image, the programs. */
async function prepare(): Promise<void> {
  assertMachineCan()
  const emit = (event: HiveEvent): void => {
    if (event.code === 'notice' || event.code === 'warning') say(event.message)
  }
  await ensureTools(emit, abort.signal)
  await Promise.all([ensureBaseRoot(emit, abort.signal), must([join(checkout, 'examples/pdns/prepare.sh')]), buildPackage('deb'), buildCli()])
}

/** Asks from inside the stage's network; undefined where there is no answer. */
async function ask(kind: 'dns' | 'http', address: string, name = ''): Promise<string | undefined> {
  const namespace = readFileSync(join(site, '.hive/private/netns'), 'utf8').trim()
  const argv = ['nsenter', `--net=/run/netns/${namespace}`, '--', process.execPath, join(checkout, 'examples/demo/ask.ts'), kind, address, name]
  const { code, out } = await run(argv, { quiet: true, deadline: 10_000 })
  return code === 0 ? out : undefined
}

async function until(what: string, seconds: number, condition: () => Promise<boolean>): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!(await condition())) {
    abort.signal.throwIfAborted()
    if (performance.now() > end) throw new Error(`${what}: not within ${seconds} s`)
    await pause(250)
  }
}

interface Host {
  readonly name: string
  readonly shortName: string
  readonly address: string
  readonly groups: readonly string[]
}

/** The hive host that runs the database, as one of `hives` knows it. */
async function databaseHost(hives: readonly Host[]): Promise<Host> {
  const request = JSON.stringify({ service: 'pdnsdb', runningOnly: true })
  const { tasks } = JSON.parse(await must([...hivecoord, 'call', hives[0]?.name ?? '', 'ServiceService/Tasks', request])) as { tasks: { node: string }[] }
  const found = hives.find(({ shortName }) => shortName === tasks[0]?.node)
  if (found === undefined) throw new Error('the database runs nowhere')
  return found
}

async function demo(): Promise<void> {
  await timed('prepare (tools, base system, base image, programs)', prepare)
  cpSync(join(checkout, 'examples/pdns'), site, { recursive: true, filter: (path) => !path.includes('.hive') })
  await timed('deploy', () => must([...hivecoord, 'deploy']))
  const inventory = JSON.parse(await must([...hivecoord, 'inventory', '--output', 'json'], { quiet: true })) as { hosts: Host[] }
  const hives = inventory.hosts.filter(({ groups }) => groups.includes('hives'))
  const [first] = hives
  if (first === undefined) throw new Error('the site has no hosts')

  say('\nasking the name server and the web server through published ports')
  const secret = `written at ${new Date().toISOString()}`
  await must([...hivecoord, 'exec', 'powerdns', '--', 'pdnsutil', 'add-record', 'example.com', 'before', 'TXT', `"${secret}"`], { quiet: true })
  await must([...hivecoord, 'exec', 'powerdns', '--', 'pdnsutil', 'add-record', 'example.com', 'kept', 'TXT', `"${secret}"`], { quiet: true })
  await timed('first answers', async () => {
    for (const { address, name } of hives) {
      await until(`DNS on ${name}`, 60, async () => (await ask('dns', address, 'before.example.com')) === secret)
      await until(`web page on ${name}`, 60, async () => (await ask('http', address))?.includes('example.com') === true)
    }
  })
  say(`before.example.com: ${secret}`)

  const victim = await databaseHost(hives)
  const survivor = hives.find(({ name }) => name !== victim.name) ?? first
  say(`\nswitching ${victim.name} off: it runs the database`)
  // A name that nobody asked for yet: no cache can know it.
  await timed('failover: power off until DNS answers with the same data', async () => {
    await must([...hivecoord, 'lab', 'power', 'off', victim.name])
    await until('DNS after the failover', 180, async () => (await ask('dns', survivor.address, 'kept.example.com')) === secret)
  })
  say(`kept.example.com, asked of ${survivor.name}: ${secret}`)
}

function summary(outcome: string, phases: readonly [string, number][]): void {
  const row = ([what, ms]: [string, number]): string => `  ${what.padEnd(58)} ${(ms / 1000).toFixed(1).padStart(7)} s`
  say(`\n${outcome}`)
  for (const entry of times) {
    say(row(entry))
    if (entry[0] === 'deploy') for (const [phase, ms] of phases) say(row([`  ${phase}`, ms]))
  }
}

/** The phases of the deploy with their times, from its journal. */
async function deployedPhases(): Promise<[string, number][]> {
  const { code, out } = await run([...hivecoord, 'runs', '--output', 'json'], { quiet: true })
  const deploy = code === 0 ? (JSON.parse(out) as { runId: string; command: string }[]).find(({ command }) => command === 'deploy') : undefined
  if (deploy === undefined) return []
  const entries = JSON.parse(await must([...hivecoord, 'runs', 'show', deploy.runId, '--output', 'json'], { quiet: true })) as { event: HiveEvent }[]
  return entries.flatMap(({ event }) => (event.code === 'phase.finished' ? [[event.phase, event.milliseconds] as [string, number]] : []))
}

let failure: unknown
try {
  await demo()
} catch (error) {
  failure = error
}
const phases = await deployedPhases().catch((): [string, number][] => [])
if (keep) {
  say(`\nthe site is in ${site}; go on with\n  npm run -s hivecoord -- --root ${site} status\n  npm run -s hivecoord -- --root ${site} destroy --yes`)
} else {
  await timed('take down', async () => {
    const { code } = await run([...hivecoord, 'destroy', '--yes'])
    if (code !== 0) failure ??= new Error('taking the site down failed')
  }).catch(() => undefined)
  rmSync(join(site, '..'), { recursive: true, force: true })
}
summary(failure === undefined ? 'The site was deployed, served, lost a host and served on.' : 'The demo failed.', phases)
if (failure !== undefined) console.error(failure instanceof Error ? failure.message : failure)
process.exit(failure === undefined ? 0 : 1)
