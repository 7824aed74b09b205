import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { Service, Task } from '../../../agent/adapters/docker/api-types.ts'
import { judge } from '../../../agent/adapters/docker/convergence.ts'
import { networkNames, nodes, serviceNamed, tasks } from './specs.ts'

const service = serviceNamed('full')
const sight = (seen: readonly Task[], of: Service = service) => ({ service: of, tasks: seen, nodes, networkNames })
const later = { now: Date.parse('2026-12-01T00:00:00Z'), waited: 0 }
const running = tasks.filter((task) => task.DesiredState === 'running')
const past = tasks.filter((task) => task.DesiredState !== 'running')

function sample(): Task {
  const [first] = running
  if (first === undefined) throw new Error('nothing recorded')
  return first
}
/** Waiting since the update. */
const sinceUpdate = { ...later, waited: later.now - Date.parse(service.UpdatedAt) }
const after = new Date(Date.parse(service.UpdatedAt) + 5000).toISOString()
const failing = (id: string, status: Partial<Task['Status']>, slot = 1): Task => ({
  ...sample(),
  ID: id,
  Slot: slot,
  CreatedAt: after,
  DesiredState: 'shutdown',
  Status: { Timestamp: after, State: 'failed', ...status },
})

suite('a service has converged', () => {
  test('when all its tasks of the new spec run and no old one does', () => {
    assert.equal(judge(sight(tasks), later).kind, 'converged')
  })

  test('not while tasks of an older spec still run, which the update replaces', () => {
    const newer = {
      ...service,
      Spec: { ...service.Spec, TaskTemplate: { ...service.Spec.TaskTemplate, ContainerSpec: { ...service.Spec.TaskTemplate.ContainerSpec, Image: 'tiny:9' } } },
    }
    const verdict = judge(sight(tasks, newer), later)
    assert.deepEqual(verdict, { kind: 'waiting', what: '0 of 2 tasks run, 2 old' })
  })

  test('not before a task has run for a second', () => {
    const began = Math.max(...running.map((task) => Date.parse(task.Status.Timestamp)))
    assert.equal(judge(sight(tasks), { now: began + 200, waited: 200 }).kind, 'waiting')
  })

  test('not by a task that has just begun after others of its slot failed, however long the wait', () => {
    const began = Math.max(...running.map((task) => Date.parse(task.Status.Timestamp)))
    const slot = running.find((task) => Date.parse(task.Status.Timestamp) === began)?.Slot
    const seen = [...tasks, failing('a', { ContainerStatus: { ContainerID: 'c', ExitCode: 7 } }, slot)]
    assert.equal(judge(sight(seen), { now: began + 2000, waited: 60_000 }).kind, 'waiting')
    assert.equal(judge(sight(seen), { now: began + 6000, waited: 60_000 }).kind, 'converged')
  })

  test('also where the clock of the node is ahead', () => {
    const began = Math.max(...running.map((task) => Date.parse(task.Status.Timestamp)))
    assert.equal(judge(sight(tasks), { now: began - 60_000, waited: 2000 }).kind, 'waiting')
    assert.equal(judge(sight(tasks), { now: began - 60_000, waited: 6000 }).kind, 'converged')
  })

  test('when a task that is not to be restarted has completed', () => {
    const TaskTemplate = { ...service.Spec.TaskTemplate, RestartPolicy: { Condition: 'none' } }
    const once: Service = { ...service, Spec: { ...service.Spec, TaskTemplate, Mode: { Replicated: { Replicas: 1 } } } }
    const done: Task = { ...failing('t', { State: 'complete' }), Spec: TaskTemplate }
    assert.equal(judge(sight([done], once), later).kind, 'converged')
  })
})

suite('a service is given up', () => {
  test('not for what failed before the waiting began, as long as it is tried again', () => {
    const failures = ['a', 'b', 'c'].map((id) => failing(id, { ContainerStatus: { ContainerID: 'c', ExitCode: 128 } }))
    assert.equal(judge(sight([...tasks, ...failures]), later).kind, 'converged')
  })

  test('when one slot failed three times since the update', () => {
    const failures = ['a', 'b', 'c'].map((id) => failing(id, { ContainerStatus: { ContainerID: 'c', ExitCode: 3 } }))
    const verdict = judge(sight([...past, ...failures]), sinceUpdate)
    assert.equal(verdict.kind, 'failed')
    assert.match(verdict.kind === 'failed' ? verdict.what : '', /exit code 3 \(3 times\)/)
  })

  test('not when three slots failed once each', () => {
    const failures = [1, 2, 3].map((slot) => failing(`t${slot}`, {}, slot))
    assert.equal(judge(sight([...past, ...failures]), sinceUpdate).kind, 'waiting')
  })

  test('not for failures before the update', () => {
    const failures = ['a', 'b', 'c'].map((id) => ({ ...failing(id, {}), CreatedAt: service.CreatedAt }))
    assert.equal(judge(sight([...tasks, ...failures]), sinceUpdate).kind, 'converged')
  })

  test('when no node may take a task for 15 s, not at once', () => {
    const lost: Task = {
      ...sample(),
      DesiredState: 'running',
      Status: { Timestamp: after, State: 'pending', Err: 'no suitable node (scheduling constraints not satisfied on 3 nodes)' },
    }
    assert.equal(judge(sight([lost]), { ...later, waited: 1000 }).kind, 'waiting')
    const verdict = judge(sight([lost]), { ...later, waited: 16_000 })
    assert.match(verdict.kind === 'failed' ? verdict.what : '', /^no node may take it/)
    const justMade = { ...lost, CreatedAt: new Date(later.now - 2000).toISOString() }
    assert.equal(judge(sight([justMade]), { ...later, waited: 16_000 }).kind, 'waiting', 'the last one of a long update')
  })

  test('when it was removed meanwhile', () => {
    assert.equal(judge({ service: undefined, tasks: [], nodes, networkNames }, later).kind, 'failed')
  })
})
