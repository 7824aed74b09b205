/** The aws provider's small pure parts. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { parse } from 'yaml'
import { newest } from '../../../coordinator/providers/aws/image.ts'
import { fingerprintOf } from '../../../coordinator/providers/aws/key-fingerprint.ts'
import { isOurs, missingTags, tagList, tagRecord, tagsOf } from '../../../coordinator/providers/aws/tags.ts'
import { userData } from '../../../coordinator/providers/aws/user-data.ts'
import { backoff, type Clock, untilAnswer } from '../../../coordinator/providers/aws/wait.ts'

describe('user data', () => {
  const key = 'ssh-ed25519 AAAA "quoted": \\ and # odd'
  const of = (settings: object) => userData({ name: 's-hive0.example.org', shortName: 's-hive0', settings } as never, key)

  it('is a cloud-config in YAML that names the host and takes the key, whatever is in it', () => {
    const text = of({ admin: 'ec2-user', adminUid: undefined })
    assert.ok(text.startsWith('#cloud-config\n'))
    const read = parse(text) as Record<string, unknown>
    assert.deepEqual([read['hostname'], read['fqdn'], read['ssh_pwauth']], ['s-hive0', 's-hive0.example.org', false])
    assert.deepEqual(read['ssh_authorized_keys'], [key])
  })

  it('makes the admin user, with the uid that is asked for', () => {
    const { users } = parse(of({ admin: 'hive', adminUid: 1234 })) as { users: readonly [string, Record<string, unknown>] }
    assert.equal(users[0], 'default')
    assert.deepEqual([users[1]['name'], users[1]['uid'], users[1]['sudo'], users[1]['ssh_authorized_keys']], ['hive', 1234, 'ALL=(ALL) NOPASSWD:ALL', [key]])
    assert.equal('uid' in ((parse(of({ admin: 'hive' })) as { users: readonly [string, object] }).users[1] ?? {}), false)
  })

  it('lets root in where root is the admin user, and makes none', () => {
    const read = parse(of({ admin: 'root' })) as Record<string, unknown>
    assert.deepEqual([read['disable_root'], read['users']], [false, undefined])
  })

  it('is smaller than the 16 KB that EC2 takes', () => assert.ok(Buffer.byteLength(of({ admin: 'hive', adminUid: 1 })) < 16_384))
})

describe('the newest image', () => {
  const image = (ImageId: string, CreationDate: string, more: object = {}) => ({
    ImageId,
    CreationDate,
    State: 'available' as const,
    Architecture: 'x86_64' as const,
    ...more,
  })

  it('is the last one made, for x86_64, that is available', () => {
    const images = [
      image('ami-2', '2025-02-01T00:00:00.000Z'),
      image('ami-1', '2025-01-01T00:00:00.000Z'),
      image('ami-arm', '2025-03-01T00:00:00.000Z', { Architecture: 'arm64' }),
      image('ami-pending', '2025-04-01T00:00:00.000Z', { State: 'pending' }),
    ]
    assert.equal(newest(images)?.ImageId, 'ami-2')
    assert.equal(newest(images.slice(2)), undefined)
  })

  it('is the one with the higher number in its name where both were made at once', () => {
    const date = '2025-01-01T00:00:00.000Z'
    assert.equal(newest([image('ami-10', date, { Name: 'EL 9.10' }), image('ami-9', date, { Name: 'EL 9.9' })])?.ImageId, 'ami-10')
  })
})

describe('the fingerprint of a key pair', () => {
  // By `openssl rsa -pubin -outform DER | openssl md5 -c`, and by `ssh-keygen -lf`.
  const rsa =
    'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQCnXz4JtqVC1+R4vT1ULYwn2HjzHwDB+gDzevdVcgMOVVfUIuaTeYiLR4Y3nZ9kcjzpaY+G4Y7XikJipImRIoFJPDgToBkXpw3IYqCYDCayb0mQrVtj2DAW0fKseXbZwWTETg1GlQb4nnAiDCy4CRvwYpioZ4EGyhfChiAvbU+fXocbDc/W64cH/TjlOpTinUAPMri93PzlJMGtIt+C1Tu26p2e1gatgklk+UViFBt81eYiceQRd2SyddLaFwyQ2dce+pG7UB31ktSbM1gBcUBN2TTc+CXMYQO+TNQuwBurvzDWT5GEPNmEtCXwNBAQX8IqQJPQLr+t4bNucWrZuSiR test'
  const ed25519 = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIL7ukBuwQfcq9MS84F3+GBTsLRyLxyB8byOpA+8++7sN test'

  it('is the one that EC2 shows for an imported key', () => {
    assert.equal(fingerprintOf(rsa), '28:2f:0c:25:ea:b3:e4:5c:5e:78:c4:10:14:90:9a:dd')
    assert.equal(fingerprintOf(ed25519)?.replace(/=+$/, ''), 'pPBFGNS9wXFA1z7btIMKbYsa5PhfuhT6ScXCWYntld0')
  })

  it('is none for a key that EC2 does not take, or for what is no key', () => {
    assert.equal(fingerprintOf('ecdsa-sha2-nistp256 AAAA'), undefined)
    assert.equal(fingerprintOf('ssh-rsa AAAA'), undefined)
    assert.equal(fingerprintOf(''), undefined)
  })
})

describe('tags', () => {
  const text = fc.string({ minLength: 1, maxLength: 10 })

  it('tell a thing of the stage from those of other stages, of other sites and of nobody', () =>
    fc.assert(
      fc.property(text, text, text, text, (site, stage, otherSite, otherStage) => {
        const tags = tagsOf({ site, stage }, 'x')
        assert.ok(isOurs({ site, stage }, tags, () => false))
        if (otherSite !== site) assert.ok(!isOurs({ site: otherSite, stage }, tags, () => true))
        if (otherStage !== stage) assert.ok(!isOurs({ site, stage: otherStage }, tags, () => true))
        assert.ok(!isOurs({ site, stage }, {}, () => true))
      }),
    ))

  it('of hive-builder, which knew no stages, are ours by a name of ours alone', () => {
    const tags = { Project: 'site', Name: 'vpc-site' }
    assert.ok(isOurs({ site: 'site', stage: 'staging' }, tags, (name) => name === 'vpc-site'))
    assert.ok(!isOurs({ site: 'site', stage: 'staging' }, tags, (name) => name === 'other'))
  })

  it('that are missing are those to set, and then none is', () =>
    fc.assert(
      fc.property(fc.dictionary(text, text), fc.dictionary(text, text), (wanted, have) => {
        const missing = missingTags(wanted, have)
        assert.deepEqual(missingTags(wanted, { ...have, ...missing }), {})
        assert.deepEqual({ ...tagRecord(tagList(wanted)) }, { ...wanted })
      }),
    ))
})

describe('waiting', () => {
  it('grows, is half chance, and never longer than the most', () =>
    fc.assert(
      fc.property(fc.nat(60), fc.double({ min: 0, max: 1, noNaN: true }), (attempt, random) => {
        const pause = backoff(attempt, { random })
        assert.ok(pause >= 250 && pause <= 5_000)
        assert.ok(backoff(attempt + 1, { random }) >= pause)
      }),
    ))

  it('ends with the first answer, or a moment before the deadline', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 30 }), fc.integer({ min: 0, max: 60_000 }), async (answerAt, deadline) => {
        let now = 0
        let asked = 0
        const clock: Clock = {
          now: () => now,
          date: () => now,
          random: () => 0.5,
          pause: async (milliseconds) => {
            now += milliseconds
          },
        }
        const answer = await untilAnswer(async () => (++asked === answerAt ? 'there' : undefined), { clock, signal: new AbortController().signal, deadline })
        assert.ok(now <= deadline)
        assert.equal(answer, asked === answerAt ? 'there' : undefined)
      }),
    )
  })

  it('stops when it is told to', async () => {
    const stop = new AbortController()
    stop.abort()
    const clock: Clock = { now: () => 0, date: () => 0, random: () => 0, pause: async () => undefined }
    await assert.rejects(
      untilAnswer(async () => undefined, { clock, signal: stop.signal, deadline: 1000 }),
      { code: 'cancelled' },
    )
  })
})
