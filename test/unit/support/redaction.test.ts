/** Nothing that is a secret leaves in a text: by value in each form, and by what it looks like. What is none stays readable. */
import assert from 'node:assert/strict'
import { generateKeyPairSync } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { extract } from 'tar-stream'
import { loadSite } from '../../../coordinator/inventory/load.ts'
import { sharedSecretOf } from '../../../coordinator/phases/build-volumes/shared-secret.ts'
import { knownSecrets } from '../../../coordinator/support/known-secrets.ts'
import { redacted, redactJson, redactor } from '../../../coordinator/support/redaction.ts'
import { writeBundle } from '../../../coordinator/support/write-bundle.ts'
import { siteFolder } from '../inventory/site-folder.ts'

/** As people, generators and the inventory's own passwords make them; long enough not to stand in other words by chance. */
const secret = fc.oneof(
  fc.string({ minLength: 8, maxLength: 40, unit: 'grapheme-ascii' }).filter((text) => text.trim().length >= 8),
  fc.string({ minLength: 8, maxLength: 24, unit: 'grapheme' }).filter((text) => text.trim().length >= 8),
  fc.base64String({ minLength: 16, maxLength: 48 }),
  fc.stringMatching(/^[0-9a-f]{32,64}$/),
  fc.tuple(fc.stringMatching(/^[\w+/]{20,40}$/), fc.stringMatching(/^[\w+/]{20,40}$/)).map((lines) => lines.join('\n')),
)
const rest = fc.string({ maxLength: 30, unit: 'grapheme-ascii' })

type Written = (text: string, before: string, after: string) => string
const ways: readonly Written[] = [
  (text, before, after) => `${before}${text}${after}`,
  (text, before, after) => JSON.stringify({ before, environment: [text], after }),
  (text, before, after) => JSON.stringify({ line: JSON.stringify({ text, before, after }) }),
  (text, before) => `GET /?q=${encodeURIComponent(text)} ${before}`,
  (text, before) => `Authorization: Basic ${Buffer.from(`${before}:${text}`).toString('base64')}`,
  (text, before, after) => `data ${Buffer.from(`${before}${text}${after}`).toString('base64')}`,
  (text) => `hex ${Buffer.from(text).toString('hex')}`,
]

suite('what leaves a site', () => {
  test('has no secret that is known, however it is written and whatever stands beside it', () => {
    fc.assert(
      fc.property(fc.array(secret, { minLength: 1, maxLength: 4 }), fc.constantFrom(...ways), rest, rest, (secrets, way, before, after) => {
        const redact = redactor(secrets)
        for (const one of secrets) {
          const said = redact(way(one, before, after))
          for (const form of [one, one.trim(), JSON.stringify(one).slice(1, -1), encodeURIComponent(one), Buffer.from(one).toString('hex')])
            assert.ok(!said.includes(form), `${JSON.stringify(said)} has ${JSON.stringify(form)}`)
          // What was written in base64 is not to be had back.
          for (const [word] of said.matchAll(/[A-Za-z0-9+/]{8,}={0,2}/g)) assert.ok(!Buffer.from(word, 'base64').toString().includes(one))
        }
      }),
      { numRuns: 3000 },
    )
  })

  test('has no value of a key that names a secret, in documents of any depth', () => {
    const key = fc.constantFrom('password', 'db_password', 'PASSWD', 'apiToken', 'secretKey', 'psk', 'AWS_SECRET_ACCESS_KEY', 'passphrase', 'private_key')
    fc.assert(
      fc.property(fc.array(fc.record({ key, value: fc.stringMatching(/^[a-zA-Z0-9]{3,30}$/) }), { minLength: 1 }), fc.nat(4), (entries, depth) => {
        let value: unknown = Object.fromEntries(entries.map((entry) => [entry.key, `~${entry.value}~`]))
        for (let level = 0; level < depth; level++) value = level % 2 === 0 ? [value] : { inner: value }
        const redact = redactor([])
        for (const said of [redact(JSON.stringify(redactJson(value, redact))), redact(JSON.stringify(value))])
          for (const entry of entries) assert.ok(!said.includes(`~${entry.value}~`), said)
      }),
    )
  })

  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  const gone: readonly (readonly [string, string])[] = [
    ['private key', pem.split('\n')[1] ?? ''],
    ['join token', 'SWMTKN-1-3pu6hszjas19xyp7ghgosyx9k8atbfcr8p2is99znpy26u2lkl-1awxwuwd3z9j1z3puu7rcgdbx'],
    ['key of a locked swarm', 'SWMKEY-1-7c37Cc8654o6p38HnroywCi19pllOnGtbdZEgtKxZu8'],
    ['password in a URL', 'hunter2!'],
    ['hash', '$2y$05$abcdefghijklmnopqrstuuKq0aB2d3e4f5g6h7i8j9k0l1m2n3o4p'],
  ]
  for (const [what, value] of gone)
    test(`has no ${what}`, () => {
      const text = what === 'private key' ? `x\n${pem}y` : what === 'password in a URL' ? `see https://me:${value}@host/x` : `said ${value}, and more`
      assert.ok(!redactor([])(text).includes(value))
      assert.ok(!JSON.stringify(redactJson({ line: text }, redactor([]))).includes(value))
    })

  test('still tells what is no secret', () => {
    const line = '2026-11-26T12:00:00Z hive-agent: step setup-hosts/hosts-file@p-hive1 finished in 120 ms'
    assert.equal(redactor(['hunter2hunter2'])(line), line)
    assert.deepEqual(redactJson({ at: new Date(0), size: 5n, map: new Map([['a', 1]]), list: [true, null] }, redactor([])), {
      at: '1970-01-01T00:00:00.000Z',
      size: '5',
      map: { a: 1 },
      list: [true, null],
    })
    assert.equal(redactor(['s3cretpass'])('user s3cretpass logs in'), `user ${redacted} logs in`)
  })

  test('knows the secrets of an inventory and of its context folder', async (context) => {
    const root = siteFolder(context, {
      'inventory/hive.yml':
        'plugin: hive_inventory\nname: mysite\nstages:\n  staging:\n    provider: prepared\n    cidr: 10.1.0.0/24\n    number_of_hosts: 2\n    ip_address_list: [10.1.0.4, 10.1.0.5]\n',
      'inventory/services.yml':
        'plugin: hive_services\nservices:\n  web:\n    image: nginx:1\n    environment: {DB_PASSWORD: from-environment, COLOUR: blue}\n    secrets: [{name: token, content: of-a-file}]\n    volumes: [{source: data, target: /d, type: volume, drbd: {fstype: xfs, size: 1G}}]\n',
    })
    const contextDir = join(root, '.hive/staging')
    mkdirSync(join(contextDir, 'pki/me@here'), { recursive: true })
    writeFileSync(join(contextDir, 'pki/me@here/key.pem'), pem)
    writeFileSync(join(contextDir, 'zabbix_psk'), 'psk-of-the-stage\n')
    writeFileSync(join(contextDir, 'state.json'), '{"otherSecret": "shared-by-volumes", "node-ids": {"a": 1}, "image-digest x": "sha256:1"}')
    const site = await loadSite({ root, env: {}, stage: 'staging', createPasswords: false, persist: false })
    const known = knownSecrets(site, { get: () => 'ab'.repeat(32) }, { RESTIC_PASSWORD: 'of-this-shell', PATH: '/bin' })
    const redact = redactor(known)
    for (const one of [
      'from-environment',
      'of-a-file',
      'psk-of-the-stage',
      'shared-by-volumes',
      'of-this-shell',
      'ab'.repeat(32),
      sharedSecretOf('data', { get: () => 'ab'.repeat(32), set: () => undefined }),
      pem.split('\n')[1] ?? '',
    ])
      assert.ok(!redact(`it is ${one} here`).includes(one), one)
    assert.equal(redact('blue sha256:1 /bin'), 'blue sha256:1 /bin')
  })
})

test('a bundle is one archive for its owner alone, and never takes the place of a file', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'hive-bundle-'))
  context.after(() => rmSync(folder, { recursive: true }))
  const path = join(folder, 'b.tar.gz')
  await writeBundle(path, 'top', [{ name: 'a/b.txt', text: 'text ü\n' }], new Date(0))
  assert.equal(statSync(path).mode & 0o777, 0o600)
  const names: string[] = []
  const reading = extract()
  reading.end(gunzipSync(await readFile(path)))
  for await (const entry of reading) {
    const chunks: Buffer[] = []
    for await (const chunk of entry) chunks.push(chunk as Buffer)
    names.push(`${entry.header.name}: ${Buffer.concat(chunks).toString()}`)
  }
  assert.deepEqual(names, ['top/a/b.txt: text ü\n'])
  await assert.rejects(writeBundle(path, 'top', [], new Date(0)), { code: 'EEXIST' })
  assert.ok(statSync(path).size > 20)
})
