import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Site } from '../../../coordinator/inventory/site.ts'
import { buildVolumes } from '../../../coordinator/phases/build-volumes.ts'
import { rememberEfs } from '../../../coordinator/providers/aws/efs-address.ts'
import { everything, facts, site, volume } from './sample-site.ts'

const phaseOf = async (made: Site, limit = everything, { state } = facts(made, {})) => buildVolumes.steps({ site: made, limit, facts: undefined, state })

test('a driver volume is made on every hive host, a plain one nowhere', async () => {
  const made = site({ volumes: [volume({}), volume({ name: 'shared', kind: 'driver', driver: 'local', driverOptions: { type: 'tmpfs' } })] })
  const { steps } = await phaseOf(made)
  assert.deepEqual(
    steps.map((step) => step.id),
    ['build-volumes/shared@s-hive0.site', 'build-volumes/shared@s-hive1.site', 'build-volumes/shared@s-hive2.site'],
  )
})

test('on one machine a mirrored volume is a folder that the hosts share, and the plan says so', async () => {
  const { steps, notices, unsupported } = await phaseOf(site({ effectiveProvider: 'nspawn', volumes: [volume({ kind: 'drbd' })] }))
  const kind = steps[0]?.spec?.kind
  assert.deepEqual(kind?.value, {
    name: 'data',
    driver: 'local',
    options: { type: 'none', o: 'bind', device: '/var/lib/hive/mirrored/data' },
    directory: '/var/lib/hive/mirrored/data',
    nfsFolder: undefined,
  })
  assert.deepEqual(notices, ["data is a folder shared by this machine's hosts, not DRBD"])
  assert.deepEqual(unsupported, [])
})

test('NFS is named as what cannot be built but on AWS', async () => {
  const { steps, unsupported } = await phaseOf(site({ volumes: [volume({ name: 'files', kind: 'nfs' })] }))
  assert.deepEqual(steps, [])
  assert.equal(unsupported?.length, 1)
})

test('on AWS an NFS volume is a folder of the file system, mounted as hive-builder does, on every hive host', async () => {
  const made = site({ effectiveProvider: 'aws', volumes: [volume({ name: 'files', kind: 'nfs' })] })
  const known = facts(made, {})
  rememberEfs(known.state, { fileSystemId: 'fs-1', dnsName: 'fs-1.efs.eu-west-1.amazonaws.com' })
  const { steps, awaits, unsupported } = await phaseOf(made, everything, known)
  assert.deepEqual(
    steps.map(({ host }) => host),
    ['s-hive0.site', 's-hive1.site', 's-hive2.site'],
  )
  assert.deepEqual(steps[0]?.spec?.kind?.value, {
    name: 'files',
    driver: 'local',
    options: {
      type: 'nfs',
      o: 'addr=fs-1.efs.eu-west-1.amazonaws.com,nfsvers=4.1,rsize=1048576,wsize=1048576,hard,timeo=600,retrans=2,noresvport',
      device: ':/files',
    },
    directory: '',
    nfsFolder: {
      server: 'fs-1.efs.eu-west-1.amazonaws.com',
      folder: 'files',
      options: 'nfsvers=4.1,rsize=1048576,wsize=1048576,soft,timeo=100,retrans=2,noresvport,nosuid,nodev,noexec',
    },
  })
  assert.deepEqual([awaits, unsupported], [[], []])
})

test('as long as the file system is not known its volumes are planned, and a run stops', async () => {
  const { steps, awaits } = await phaseOf(site({ effectiveProvider: 'aws', volumes: [volume({ name: 'files', kind: 'nfs' })] }))
  assert.equal(steps.length, 3)
  assert.deepEqual(awaits, ['volume files: the address of efs-site is known once build-infra is done'])
})

test('volumes of other stages and outside the limit are left alone', async () => {
  const volumes = [volume({ name: 'a', kind: 'driver' }), volume({ name: 'b', kind: 'driver' }), volume({ name: 'c', kind: 'driver', stages: ['production'] })]
  const { steps } = await phaseOf(site({ volumes }), { ...everything, volumes: new Set(['b', 'c']) })
  assert.deepEqual([...new Set(steps.map((step) => step.title))], ['volume b'])
})
