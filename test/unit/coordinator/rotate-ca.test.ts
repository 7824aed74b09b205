/** The exchange of a stage's CA, with real agents on loopback. */
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as wait } from 'node:timers/promises'
import { HostServiceService } from '#gen/hive/v1/host.ts'
import { askPeer } from '../../../agent/adapters/peer.ts'
import { Authorities } from '../../../coordinator/pki/authorities.ts'
import { createAuthority } from '../../../coordinator/pki/certificate.ts'
import { StagePki } from '../../../coordinator/pki/stage-pki.ts'
import { type RotateInput, rotateAuthority, stranded } from '../../../coordinator/trust/rotate-ca.ts'
import { HiveError } from '../../../proto/errors.ts'
import { certificatesIn, fingerprintOf } from '../../../proto/pem.ts'
import { type Lab, startLab } from './support/lab.ts'
import { tempFolder } from './support/temp.ts'

const day = 86_400_000
const live = new AbortController().signal

/** A coordinator that was just started: it knows what is in the context folder. */
function coordinator(t: TestContext, lab: Lab, more: Partial<RotateInput> = {}): RotateInput & { readonly said: string[] } {
  const pki = new StagePki({ contextDir: lab.site.contextDir, siteName: 'test' })
  const agents = lab.otherAgents(pki)
  t.after(() => agents.close())
  const said: string[] = []
  return {
    hosts: lab.site.hosts,
    pki,
    agents,
    leaveOut: new Set(),
    leaveBehind: new Set(),
    connect: (host, credentials) => agents.as(host, credentials),
    alone: (work) => work(live),
    spread: async () => undefined,
    emit: (event) => event.code === 'notice' && said.push(event.message),
    now: () => new Date(),
    again: false,
    said,
    ...more,
  }
}

const folderOf = (lab: Lab, host: string): string => join(lab.site.contextDir, 'hosts', host, 'pki')
const acceptedBy = (lab: Lab, host: string): readonly string[] => certificatesIn(readFileSync(join(folderOf(lab, host), 'ca.pem'), 'utf8')).map(fingerprintOf)
const shownBy = (lab: Lab, host: string): X509Certificate => new X509Certificate(readFileSync(join(folderOf(lab, host), 'cert.pem')))

/** Every host asks every other one, as they do for dumps and for what services run. */
async function askEachOther(lab: Lab): Promise<void> {
  const { hosts } = lab.site
  const to = ({ name, address, settings }: (typeof hosts)[number]) => ({ host: name, address, port: settings.agentPort })
  for (const from of hosts)
    for (const other of hosts)
      if (from !== other) await askPeer(to(other), folderOf(lab, from.name), HostServiceService.info, {}, { signal: live, deadline: 10_000 })
}

test('the CA is exchanged while hosts and operators go on talking to each other all the time; a second run does nothing', async (t) => {
  const lab = await startLab(t, ['h0', 'h1', 'repo'])
  const old = fingerprintOf(lab.pki.signingPem)
  const before = await lab.pki.adminCredentials()
  let over = false
  let rounds = 0
  const talking = (async () => {
    while (!over) {
      await askEachOther(lab)
      rounds += 1
      await wait(1)
    }
  })()
  const spread: (readonly string[])[] = []
  const input = coordinator(t, lab, { spread: async () => void spread.push(certificatesIn(lab.pki.caPem).map(fingerprintOf)) })
  const { steps, ca } = await rotateAuthority(input).finally(() => {
    over = true
  })
  await talking
  assert.ok(rounds > 0)
  assert.equal(steps.length, 6, steps.join('; '))
  assert.deepEqual(
    spread.map((all) => all.length),
    [2, 2, 1],
  )
  for (const { name } of lab.site.hosts) {
    assert.deepEqual(acceptedBy(lab, name), [ca])
    assert.ok(shownBy(lab, name).verify(new X509Certificate(lab.pki.signingPem).publicKey))
  }
  assert.notEqual(ca, old)
  assert.equal(existsSync(join(lab.site.contextDir, 'ca/previous')), false)
  const stale = await input.connect('h0', { ...before, caPem: lab.pki.caPem })
  await assert.rejects(stale.connect(10_000, live), (error) => error instanceof HiveError && error.code === 'unreachable')
  stale.close()
  const again = await rotateAuthority(coordinator(t, lab))
  assert.deepEqual([again.steps, again.ca], [[], ca])
  const once = await rotateAuthority(coordinator(t, lab, { again: true }))
  assert.notEqual(once.ca, ca)
})

/** A coordinator that is killed at its nth dealing with the outside. */
function dying(input: RotateInput, after: number): RotateInput {
  let left = after
  const count = (): void => {
    left -= 1
    if (left < 0) throw new Error('killed')
  }
  const counted = <T extends object>(whole: T, names: readonly (keyof T)[]): T =>
    new Proxy(whole, {
      get: (target, name) => {
        const value = Reflect.get(target, name) as unknown
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          if (names.includes(name as keyof T)) count()
          return Reflect.apply(value, target, args) as unknown
        }
      },
    })
  return {
    ...input,
    agents: counted(input.agents, ['reach', 'anew', 'renewCredentials']),
    pki: counted(input.pki, ['probe', 'signHostCertificate', 'nextCa']),
    spread: async () => count(),
    alone: async (work) => {
      count()
      const result = await input.alone(work)
      count()
      return result
    },
  }
}

test('killed again and again it goes on where it was, and at no point is anybody cut off', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  const old = fingerprintOf(lab.pki.signingPem)
  const states = new Set<string>()
  let kills = 0
  for (let n = 0; ; n++) {
    const input = coordinator(t, lab)
    const done = await rotateAuthority(dying(input, n)).then(
      () => true,
      (error: unknown) => {
        if (error instanceof Error && error.message === 'killed') return false
        throw error
      },
    )
    states.add(new Authorities(lab.site.contextDir).rotation?.state ?? 'none')
    await askEachOther(lab)
    const fresh = coordinator(t, lab)
    for (const { name } of lab.site.hosts) assert.ok('client' in (await fresh.agents.reach(name)), `${name} after ${n}`)
    if (done) break
    kills += 1
  }
  assert.ok(kills > 10, `${kills}`)
  assert.deepEqual([...states].sort(), ['accepting', 'done', 'dropping', 'none', 'reissuing'])
  assert.notEqual(fingerprintOf(lab.pki.signingPem), old)
  for (const { name } of lab.site.hosts) assert.deepEqual(acceptedBy(lab, name), [fingerprintOf(lab.pki.signingPem)])
  assert.deepEqual((await rotateAuthority(coordinator(t, lab))).steps, [])
})

test('a host that does not answer stops it before anybody is cut off; left out, it counts as without an agent', async (t) => {
  const lab = await startLab(t, ['h0', 'h1', 'repo'])
  const old = fingerprintOf(lab.pki.signingPem)
  await lab.running.get('h1')?.stop()
  await assert.rejects(rotateAuthority(coordinator(t, lab)), (error) => error instanceof HiveError && error.code === 'unreachable' && /h1/.test(error.message))
  assert.equal(fingerprintOf(lab.pki.signingPem), old)
  assert.equal(acceptedBy(lab, 'h0').length, 2)
  await rotateAuthority(coordinator(t, lab, { leaveOut: new Set(['h1']) }))
  assert.deepEqual([lab.pki.enrolled('h0'), lab.pki.enrolled('h1')], [true, false])
  assert.equal(acceptedBy(lab, 'h0').length, 1)
})

test('an operator with a certificate of the old CA is named before it ends', async (t) => {
  const lab = await startLab(t, ['h0', 'repo'])
  await lab.pki.issueClient({ name: 'anna', role: 'hive:operator' })
  await assert.rejects(
    rotateAuthority(coordinator(t, lab)),
    (error) =>
      error instanceof HiveError && error.code === 'blocked' && /anna \(hive:operator\)/.test(error.message) && /--leave-behind anna/.test(error.hint ?? ''),
  )
  assert.equal(new Authorities(lab.site.contextDir).rotation?.state, 'reissuing')
  await new StagePki({ contextDir: lab.site.contextDir, siteName: 'test' }).issueClient({ name: 'anna', role: 'hive:operator' })
  await rotateAuthority(coordinator(t, lab))
  assert.equal(new Authorities(lab.site.contextDir).rotation?.state, 'done')
})

test('who would be left behind: valid ones of the old CA alone, whose bearer has no other and does not renew it itself', () => {
  const now = new Date('2026-01-01T00:00:00Z')
  const entry = (name: string, role: string, ca: string | undefined, days = 10) => ({
    serial: name,
    name,
    role,
    issued: '',
    expires: new Date(now.getTime() + days * day).toISOString(),
    ...(ca === undefined ? {} : { ca }),
  })
  const issued = [
    entry('anna', 'hive:operator', 'old'),
    entry('anna', 'hive:reader', 'new'),
    entry('ben', 'hive:reader', undefined),
    entry('ben', 'hive:reader', 'new'),
    entry('cleo', 'hive:admin', undefined),
    entry('dora', 'hive:operator', 'old', -1),
    entry('h0', 'hive:agent', 'old'),
  ]
  assert.deepEqual(
    stranded(issued, 'new', now, (name) => name === 'cleo'),
    [{ name: 'anna', role: 'hive:operator' }],
  )
})

test('whoever comes after a process that was killed between the files of the new CA finds a whole one', async (t) => {
  for (const written of [0, 1, 2]) {
    const contextDir = tempFolder(t)
    const pki = new StagePki({ contextDir, siteName: 'test' })
    await pki.ensureCa()
    const next = await createAuthority('test', '77', new Date(), undefined, '77')
    pki.authorities.begin(next, new Date())
    const ca = join(contextDir, 'ca')
    mkdirSync(join(ca, 'previous'))
    for (const name of ['cakey.pem', 'cacert.pem']) copyFileSync(join(ca, name), join(ca, 'previous', name))
    writeFileSync(join(ca, 'rotation.json'), JSON.stringify({ ...pki.authorities.rotation, state: 'switching' }))
    for (const name of ['cakey.pem', 'cacert.pem'].slice(0, written)) copyFileSync(join(ca, 'next', name), join(ca, name))
    const healed = new StagePki({ contextDir, siteName: 'test' })
    assert.equal(healed.signingPem, next.certificatePem)
    assert.equal(certificatesIn(healed.caPem).length, 2)
    assert.ok(new X509Certificate((await healed.adminCredentials()).certificatePem).verify(new X509Certificate(next.certificatePem).publicKey))
  }
})
