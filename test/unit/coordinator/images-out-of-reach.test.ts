import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Step } from '#gen/hive/v1/step.ts'
import type { PlannedStep } from '../../../coordinator/events.ts'
import { step } from '../../../coordinator/phases/phase.ts'
import { leaveOutMissingImages } from '../../../coordinator/run/images-out-of-reach.ts'
import { HiveError } from '../../../proto/errors.ts'

const site = { hosts: [{ name: 'h0' }, { name: 'repo', isRepository: true }], registry: { host: 'repo', port: 5000 } } as unknown as Parameters<
  typeof leaveOutMissingImages
>[1]['site']
const phase = 'deploy-services'
const image = (reference: string, host: string): Step => step(phase, reference, host, `image ${reference}`, 'ensureImage', { reference, digest: '' } as never)
const service = (name: string, ...images: readonly Step[]): Step =>
  step(phase, name, 'h0', `service ${name}`, 'ensureService', { name } as never, { needs: images.map(({ id }) => id) })

const [old, made, foreign] = [image('repo:5000/old:1', 'h0'), image('repo:5000/made:2', 'h0'), image('quay.io/else:3', 'h0')]
const steps = [old, made, foreign, service('kept', old), service('new', made), service('far', foreign), service('same', made)]
const changing = new Set([made, foreign, ...steps.slice(3, 6)].map(({ id }) => id))
const planned: readonly PlannedStep[] = steps.map(({ id, host, title }) => ({
  phase,
  host,
  stepId: id,
  title,
  outcome: changing.has(id) ? { kind: 'change' as const, reason: '', before: '', after: '', disruption: 0 as const } : { kind: 'ok' as const },
}))

const ask = (answers: boolean, resolve: () => Promise<string>) => {
  const asked: string[] = []
  const result = leaveOutMissingImages(
    { steps, planned },
    {
      site,
      agents: { reach: async () => (answers ? { client: {} as never, info: {} as never } : { error: new HiveError('unreachable', 'repo is away') }) },
      facts: {
        resolveImage: (reference) => {
          asked.push(reference)
          return resolve()
        },
      },
      signal: new AbortController().signal,
    },
  )
  return result.then((left) => ({ ...left, asked }))
}
const dead = (): Promise<string> => Promise.reject(new HiveError('command-failed', 'dial tcp: no route to host'))

test('a service whose image only the lost registry has is left as it is, and named; all others go on', async () => {
  const { phase: kept, away, warnings, asked } = await ask(false, dead)
  assert.deepEqual(asked, ['repo:5000/made:2'])
  assert.equal(away, 'repo')
  assert.deepEqual(
    kept.steps.map(({ title }) => title),
    ['image repo:5000/old:1', 'image quay.io/else:3', 'service kept', 'service far', 'service same'],
  )
  assert.deepEqual(
    kept.planned.map(({ title }) => title),
    kept.steps.map(({ title }) => title),
  )
  assert.deepEqual(warnings, ['service new is left as it is: its image is in the registry of repo, which does not answer'])
})

test('nothing is left out while the repository server answers, or the registry does without its agent', async () => {
  for (const { phase: kept, away, warnings } of [await ask(true, dead), await ask(false, async () => '')]) {
    assert.deepEqual(kept.steps, steps)
    assert.deepEqual([away, warnings], [undefined, []])
  }
})
