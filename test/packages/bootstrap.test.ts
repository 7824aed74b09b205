/** What the bootstrap runs on a host of the EL family, with rpm as it is and its root elsewhere. */
import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { installScript } from '../../coordinator/bootstrap/install-package.ts'
import { type BuiltPackage, buildPackage } from '../../packaging/build-packages.mjs'
import { ElRoot } from './harness/el-root.ts'
import { ensureTools, type Outcome, outcomeOf } from './harness/tools.ts'

let root: ElRoot
let tools: string
let first: BuiltPackage
let second: BuiltPackage

before(async () => {
  await ensureTools()
  ;[first, second] = [await buildPackage('rpm'), await buildPackage('rpm', { version: '9.1.0' })]
  root = await ElRoot.make()
  tools = mkdtempSync(join(tmpdir(), 'hive-bootstrap-'))
  writeFileSync(join(tools, 'rpm'), `#!/bin/sh\nexec /usr/bin/rpm --root ${root.folder} --dbpath /var/lib/rpm "$@"\n`)
  chmodSync(join(tools, 'rpm'), 0o755)
})
after(() => {
  root?.remove()
  rmSync(tools, { recursive: true, force: true })
})

/** The package arrives on standard input, as ssh brings it. */
const install = (built: BuiltPackage, file = built.path): Promise<Outcome> =>
  outcomeOf(['sh', '-c', `exec sh -c "$0" < "$1"`, installScript(built), file], { env: { ...process.env, PATH: `${tools}:${process.env['PATH']}` } })
const installed = async (): Promise<string> => (await root.rpm('-q', '--qf', '%{VERSION}\n', 'hive-agent')).out.trim()
const left = (): readonly string[] => readdirSync('/var/tmp').filter((name) => name.startsWith('hive-agent.'))

test('a package is installed, installed again, upgraded and, where it is said, made older; it leaves no file of its own', async () => {
  for (const [built, version] of [
    [first, first.version],
    [first, first.version],
    [second, '9.1.0'],
    [first, first.version],
  ] as const) {
    const outcome = await install(built)
    assert.equal(outcome.code, 0, `${outcome.out}${outcome.err}`)
    assert.equal(await installed(), version)
  }
  assert.deepEqual(left(), [])
})

test('a package that arrives damaged is refused before rpm sees it', async () => {
  const damaged = join(tools, 'damaged.rpm')
  writeFileSync(damaged, readFileSync(second.path).subarray(0, 1_000_000))
  const { code, err } = await install(second, damaged)
  assert.notEqual(code, 0)
  assert.match(err, /arrived damaged/)
  assert.equal(await installed(), first.version)
  assert.deepEqual(left(), [])
})
