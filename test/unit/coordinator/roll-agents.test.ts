/** The rolling upgrade over agents that really run; what is installed is another version that the agent then tells. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { AgentPackages } from '../../../coordinator/bootstrap/agent-packages.ts'
import { type RollInput, upgradeOneByOne } from '../../../coordinator/bootstrap/roll-agents.ts'
import type { Provider, SshTarget } from '../../../coordinator/providers/provider.ts'
import { HiveError } from '../../../proto/errors.ts'
import { type Lab, startLab, thing } from './support/lab.ts'

/** Agents run from source here, so their binary is "" and only the version changes. */
const packages = (version: string): AgentPackages => ({ version, binarySha256: '', of: () => Promise.reject(new Error('not asked for')) })

interface Rolling {
  readonly lab: Lab
  readonly brought: string[]
  readonly input: (more?: Partial<RollInput>) => RollInput
}

async function rolling(t: TestContext, install: (lab: Lab, host: string) => Promise<void>): Promise<Rolling> {
  const lab = await startLab(t, ['h0', 'h1', 'repo'])
  const brought: string[] = []
  const bring: NonNullable<RollInput['bring']> = async (_input, { name }, _need, verify) => {
    brought.push(name)
    await install(lab, name)
    await verify?.()
    return { host: name } as SshTarget
  }
  const input = (more: Partial<RollInput> = {}): RollInput => ({
    site: lab.site,
    provider: {} as Provider,
    pki: lab.pki,
    packages: packages('0.2.0'),
    agents: lab.agents,
    emit: (event) => lab.events.push(event),
    signal: new AbortController().signal,
    hosts: lab.site.hosts,
    needs: new Map(),
    patience: 3_000,
    bring,
    ...more,
  })
  return { lab, brought, input }
}

test('each host is verified before the next, hosts outside the swarm first', async (t) => {
  const { brought, input } = await rolling(t, (lab, host) => lab.restart(host, '0.2.0'))
  assert.deepEqual((await upgradeOneByOne(input())).upgraded, ['repo', 'h1', 'h0'])
  assert.deepEqual(brought, ['repo', 'h1', 'h0'])
})

test('an agent that is still the old one, or does not answer, ends it, and the error says what is upgraded', async (t) => {
  for (const [what, patience] of [
    ['old', 600],
    ['silent', 600],
  ] as const) {
    const { lab, brought, input } = await rolling(t, async (own, host) => {
      if (host === 'repo') await own.restart(host, '0.2.0')
      else if (what === 'silent') await own.running.get(host)?.stop()
    })
    await assert.rejects(upgradeOneByOne(input({ patience })), (error) => {
      assert.ok(error instanceof HiveError)
      assert.equal(error.code, 'not-converged')
      assert.match(error.message, /^stopped at h1: .* \(upgraded to 0\.2\.0: repo; not: h1, h0\)$/)
      return true
    })
    assert.deepEqual(brought, ['repo', 'h1'])
    void lab
  }
})

test('what an agent still does is waited for', async (t) => {
  let release = (): void => undefined
  const { lab, brought, input } = await rolling(t, (own, host) => own.restart(host, '0.2.0'))
  lab.script.gates.set('repo:slow', new Promise((resolve) => (release = resolve)))
  const begun = new Promise<void>((resolve) => (lab.script.begun = () => resolve()))
  const client = await lab.agents.client('repo')
  await client.step.startRun({ key: 'k', owner: 'someone', deployId: '', steps: [thing('slow', 'repo')] })
  await begun
  const upgrading = upgradeOneByOne(input())
  while (!lab.events.some(({ code }) => code === 'notice')) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.deepEqual(brought, [])
  release()
  await upgrading
  assert.ok(lab.script.done.has('repo:slow'))
  assert.deepEqual(brought, ['repo', 'h1', 'h0'])
})
