import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Host, Site } from '../../../coordinator/inventory/site.ts'
import { providerFor } from '../../../coordinator/providers/index.ts'
import { isPlanOnly } from '../../../coordinator/providers/plan-only.ts'
import { HiveError } from '../../../proto/errors.ts'

const host = {
  name: 's-hive0.pdns',
  address: '10.1.0.5',
  prefixLength: 24,
  subnet: 'pdns-a',
  zone: 'a',
  settings: { diskSizeGb: 40, cpus: undefined, memoryMb: undefined, mirroredDiskSizeGb: undefined },
} as unknown as Host
const site = { effectiveProvider: 'azure', cidr: '10.1.0.0/24', attributes: { instance_type: 't3.medium' }, hosts: [host] } as unknown as Site
const context = { site, state: { get: () => undefined, set: () => undefined }, emit: () => undefined, signal: new AbortController().signal }

describe('a provider that can only plan', () => {
  it('says what would be created, without an account', async () => {
    const actions = await providerFor(site).plan(context)
    assert.deepEqual(
      actions.map(({ host: name, after }) => [name, after]),
      [
        ['', '10.1.0.0/24, subnets pdns-a'],
        ['s-hive0.pdns', '10.1.0.5/24, a, t3.medium, 40 GB disk'],
      ],
    )
  })

  it('names itself as the obstacle, in the plan and when applied', async () => {
    const provider = providerFor(site)
    assert.ok(isPlanOnly(provider))
    assert.equal(provider.blocked(site).outcome.kind, 'blocked')
    await assert.rejects(provider.apply(context, []), (error) => error instanceof HiveError && error.code === 'unsupported' && error.message.includes('azure'))
  })

  for (const name of ['azure', 'gcp'])
    it(`says that it is not there yet: ${name}`, () => {
      const provider = providerFor({ effectiveProvider: name })
      assert.ok(isPlanOnly(provider))
      const { title, outcome } = provider.blocked(site)
      assert.equal(title, `Create hosts with provider ${name}`)
      assert.deepEqual([outcome.kind, outcome.kind === 'blocked' && outcome.reason], ['blocked', `provider ${name} is not available yet`])
    })

  it('is not what a mistyped name gets', () => {
    assert.throws(() => providerFor({ effectiveProvider: 'awz' }), { code: 'invalid-input' })
  })
})
