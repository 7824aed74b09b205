import assert from 'node:assert/strict'
import { test } from 'node:test'
import { initializeServices } from '../../../coordinator/phases/initialize-services.ts'
import type { FactSource } from '../../../coordinator/phases/phase.ts'
import { everything, exampleSite } from './example-site.ts'

const { site, input } = exampleSite()

test('roles are applied on the host that runs the container', async () => {
  const { steps, blobs, notices } = await initializeServices.steps(input(new Map([['powerdns', 'p-hive1.pdns']])))
  assert.deepEqual(
    steps.map(({ id }) => id),
    ['initialize-services/powerdns@p-hive1.pdns'],
  )
  assert.equal(blobs.get('p-hive1.pdns')?.length, 1)
  assert.deepEqual(notices, [])
})

test('a service that does not run yet is planned on the first hive, and it is told', async () => {
  const { steps, notices } = await initializeServices.steps(input(new Map()))
  assert.deepEqual(
    steps.map(({ host }) => host),
    ['p-hive0.pdns'],
  )
  assert.match(notices.join(), /powerdns does not run yet/)
})

test('only services with roles of this stage are asked about', async () => {
  const asked: string[] = []
  const runningTask = async (service: string) => {
    asked.push(service)
    return { host: 'p-hive2.pdns', containerId: 'c' }
  }
  const source = { site: site(), limit: everything, state: input(undefined).state, refreshImages: false, runningTask } as unknown as FactSource
  assert.deepEqual([...((await initializeServices.gather?.(source)) ?? [])], [['powerdns', 'p-hive2.pdns']])
  assert.deepEqual(asked, ['powerdns'])
})

test('roles can be applied again on request', async () => {
  const { steps } = await initializeServices.steps(input(new Map(), everything, true))
  const kind = steps[0]?.spec?.kind
  assert.equal(kind?.$case === 'runRoles' && kind.value.always, true)
})
