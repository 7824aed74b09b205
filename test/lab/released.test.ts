/** hivecoord as one file, on a machine that has neither checkout nor Node.js for it: it makes hosts and puts the agents that are inside it on them. */
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { buildPackage } from '../../packaging/build-packages.mjs'
import { release } from '../../packaging/release.mjs'
import { ensureTools, type Outcome, outcomeOf, outsideEnvironment } from '../packages/harness/tools.ts'

let work = ''
/** '' before it is made, and after the hosts were taken down. */
let program = ''
const environment = (): Record<string, string> => ({
  ...outsideEnvironment(work),
  ...(process.env['HIVE_CACHE'] === undefined ? {} : { HIVE_CACHE: process.env['HIVE_CACHE'] }),
})
const hivecoord = (...args: readonly string[]): Promise<Outcome> => outcomeOf([program, '--root', 'site', ...args], { cwd: work, env: environment() })
async function succeed(...args: readonly string[]): Promise<string> {
  const { code, out, err } = await hivecoord(...args)
  assert.equal(code, 0, `${out}${err}`)
  return out
}

const takeDown = (): void => {
  if (program !== '') spawnSync(program, ['--root', 'site', 'destroy', '--yes'], { cwd: work, env: environment(), stdio: 'ignore', timeout: 120_000 })
  program = ''
  if (work !== '') rmSync(work, { recursive: true, force: true })
}
process.on('exit', takeDown)
process.once('SIGTERM', () => process.exit(143))
process.once('SIGINT', () => process.exit(130))

before(async () => {
  work = mkdtempSync(join(tmpdir(), 'hive-released-'))
  cpSync(join(import.meta.dirname, 'sites/small'), join(work, 'site'), { recursive: true })
  await ensureTools()
  program = (await release({ payload: 'fast', reuse: true }))[3].path
})
after(takeDown)

test('hosts get the agent’s package out of it, and answer', async () => {
  await succeed('build-infra')
  const { binarySha256 } = await buildPackage('deb')
  const agents = JSON.parse(await succeed('--output', 'json', 'agent', 'list')) as { host: string; binarySha256: string; package: string }[]
  assert.equal(agents.length, 4)
  for (const agent of agents) assert.deepEqual([agent.binarySha256, agent.package], [binarySha256, 'deb'], agent.host)
})

test('a second run has nothing to do', async () => {
  assert.match(await succeed('plan', '--only', 'build-infra'), /nothing to change/)
})
