import assert from 'node:assert/strict'
import { once } from 'node:events'
import { test } from 'node:test'
import { newOwner } from '../../../coordinator/run/process-identity.ts'
import { type LockClient, SiteLock } from '../../../coordinator/run/site-lock.ts'
import { HiveError } from '../../../proto/errors.ts'
import { startLab } from './support/lab.ts'

test('of two that ask at the same time exactly one gets the site, and leaves nothing behind when refused', async (t) => {
  const lab = await startLab(t, ['h0', 'h1', 'repo'])
  const clients = await Promise.all(['h0', 'h1', 'repo'].map((host) => lab.agents.client(host)))
  const locks = [1, 2, 3].map(() => new SiteLock({ owner: newOwner(), purpose: 'deploy' }))
  const results = await Promise.allSettled(locks.map((lock) => lock.acquire(clients)))
  const winner = results.findIndex(({ status }) => status === 'fulfilled')
  assert.equal(results.filter(({ status }) => status === 'fulfilled').length, 1)
  for (const { lock } of clients) assert.equal((await lock.get({})).owner, locks[winner]?.owner)
  await locks[winner]?.release()
  for (const { lock } of clients) assert.equal((await lock.get({})).held, false)
})

test('the lease of a dead process of this machine is taken over, any other is not', async (t) => {
  const lab = await startLab(t, ['h0'])
  const client = await lab.agents.client('h0')
  const left = new SiteLock({ owner: newOwner(), purpose: 'deploy' })
  await left.acquire([client])
  const patient = new SiteLock({ owner: newOwner(), purpose: 'deploy', dead: () => false })
  await assert.rejects(patient.acquire([client]), (error) => error instanceof HiveError && error.code === 'locked')
  const heir = new SiteLock({ owner: newOwner(), purpose: 'deploy', dead: ({ text }) => text === left.owner })
  await heir.acquire([client])
  assert.equal((await client.lock.get({})).owner, heir.owner)
  await Promise.all([left.release(), heir.release()])
})

test('a run whose lease was taken over is told so', async (t) => {
  const lab = await startLab(t, ['h0'])
  const client = await lab.agents.client('h0')
  const first = new SiteLock({ owner: newOwner(), purpose: 'deploy', renewEverySeconds: 0.02 })
  await first.acquire([client])
  t.after(() => first.release())
  await client.lock.acquire({ owner: 'thief', purpose: 'theft', ttlSeconds: 30, takesOver: [first.owner] })
  if (!first.lost.aborted) await once(first.lost, 'abort')
  assert.match(String(first.lost.reason), /thief holds the site/)
})

test('a host that cannot write the lease is left out as long as another grants it, and is named where none does', async (t) => {
  const lab = await startLab(t, ['h0'])
  const full = new HiveError('blocked', "the lock can't be written: ENOSPC", { host: 'h1' })
  const refusing = { host: 'h1', lock: { acquire: () => Promise.reject(full) } } as unknown as LockClient
  const lock = new SiteLock({ owner: newOwner(), purpose: 'deploy' })
  await lock.acquire([refusing, await lab.agents.client('h0')])
  await lock.release()
  await assert.rejects(new SiteLock({ owner: newOwner(), purpose: 'deploy' }).acquire([refusing]), full)
})
