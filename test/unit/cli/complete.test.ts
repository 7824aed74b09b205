import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { candidatesFor, type Known, placeOf } from '../../../cli/complete.ts'
import { buildProgram } from '../../../cli/program.ts'

const known: Known = {
  hosts: async () => ['p-hive0', 'p-hive1'],
  services: async () => ['web'],
  volumes: async () => ['data'],
  leftVolumes: async () => ['old'],
  runs: async () => ['20261123T000000000Z-aaaa'],
  phases: ['build-infra', 'setup-hosts'],
  stages: ['private', 'staging'],
  settings: ['stage', 'first_hive'],
  rpcs: ['hive.v1.HostService/Info'],
}
const { program } = buildProgram()
const complete = (line: string): Promise<readonly string[]> => candidatesFor(program, line.split(' '), known)

describe('completion', () => {
  it('proposes commands, without the one that completes', async () => {
    const commands = await complete('')
    assert.ok(commands.includes('deploy') && commands.includes('logs') && !commands.includes('complete'))
    assert.deepEqual(await complete('runs '), ['show', 'watch', 'cancel'])
  })

  it('proposes hosts, services, runs, settings and RPCs where they stand', async () => {
    assert.deepEqual(await complete('ssh '), ['p-hive0', 'p-hive1'])
    assert.deepEqual(await complete('node units '), ['p-hive0', 'p-hive1'])
    assert.deepEqual(await complete('node restart-service p-hive0 '), ['web'])
    assert.deepEqual(await complete('logs '), ['web'])
    assert.deepEqual(await complete('volume delete '), ['old'])
    assert.deepEqual(await complete('hold '), ['release', 'list', 'p-hive0', 'p-hive1'])
    assert.deepEqual(await complete('hold release p-hive0 '), ['p-hive0', 'p-hive1'])
    assert.deepEqual(await complete('runs show '), ['20261123T000000000Z-aaaa'])
    assert.deepEqual(await complete('set stage '), ['private', 'staging'])
    assert.deepEqual(await complete('call p-hive0 '), ['hive.v1.HostService/Info'])
    assert.deepEqual(await complete('lab power off '), ['p-hive0', 'p-hive1'])
    assert.deepEqual(await complete('drbd connect '), ['data'])
    assert.deepEqual(await complete('drbd connect data '), ['p-hive0', 'p-hive1'])
    assert.deepEqual(await complete('drbd down data --host '), ['p-hive0', 'p-hive1'])
  })

  it('proposes what an option takes, wherever it stands', async () => {
    assert.deepEqual(await complete('--output '), ['text', 'json'])
    assert.deepEqual(await complete('status --stage '), ['private', 'staging', 'production'])
    assert.deepEqual(await complete('deploy --from '), ['build-infra', 'setup-hosts'])
    assert.deepEqual(await complete('runs --limit '), [])
    assert.deepEqual(await complete('swarm recover --from '), ['p-hive0', 'p-hive1'])
    assert.deepEqual(await complete('swarm recover --gone p-hive0,'), ['p-hive0,p-hive0', 'p-hive0,p-hive1'])
    assert.deepEqual(await complete('host replace p-hive0 --yes '), ['p-hive0', 'p-hive1'])
    assert.deepEqual(await complete('host replace p-hive0 --lose '), ['data'])
    assert.deepEqual(await complete('drbd down data --yes '), ['data'])
  })

  it('goes on after a comma', async () => {
    assert.deepEqual(await complete('plan --limit web,'), ['web,web', 'web,p-hive0', 'web,p-hive1', 'web,data'])
  })

  it('takes no value of an option for a command', async () => {
    assert.deepEqual(await complete('--root deploy ssh '), ['p-hive0', 'p-hive1'])
    assert.equal(placeOf(program, ['--root', '/srv/site', 'status']).given.get('--root'), '/srv/site')
  })
})
