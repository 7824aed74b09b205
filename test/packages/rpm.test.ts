/** The RPM: what is in it, what it needs, and what it does to a host when it comes, is upgraded and goes. */
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type BuiltPackage, buildPackage } from '../../packaging/build-packages.mjs'
import { ElRoot } from './harness/el-root.ts'
import { ensureTools, outcomeOf, run } from './harness/tools.ts'

const checkout = new URL('../..', import.meta.url).pathname
const newer = '9.1.0'
let first: BuiltPackage
let second: BuiltPackage

before(async () => {
  await ensureTools()
  first = await buildPackage('rpm')
  second = await buildPackage('rpm', { version: newer })
})

const query = (...args: readonly string[]): Promise<string> => run(['rpm', '-qp', ...args, first.path])

describe('the file', () => {
  test('is named as packages of EL 8 are', async () => {
    const { version } = JSON.parse(readFileSync(join(checkout, 'package.json'), 'utf8')) as { version: string }
    assert.equal(first.fileName, `hive-agent-${version}-1.el8.x86_64.rpm`)
    assert.equal((await query()).trim(), `hive-agent-${version}-1.el8.x86_64`)
  })

  test('has the same bytes when agent and package are built again, in another place, at another time, by another user', async () => {
    const cache = mkdtempSync(join(tmpdir(), 'hive-cache-'))
    try {
      // Without what the first build left in the checkout, so that the agent in it is made again too.
      rmSync(join(checkout, `build/dist/hive-agent-${newer}.json`), { force: true })
      const env = { ...process.env, HIVE_CACHE: cache, TZ: 'Asia/Tokyo', HOME: cache, USER: 'somebody', LC_ALL: 'C' }
      const again = ['sh', '-c', `umask 077; cd /; exec "$0" "$@"`, process.execPath, join(checkout, 'packaging/build-packages.mjs')] as const
      const lines = (await run([...again, '--version', newer], { env })).trim().split('\n')
      const [rpm, deb] = lines.map((line) => JSON.parse(line) as BuiltPackage)
      assert.deepEqual(rpm, second)
      assert.deepEqual(deb, await buildPackage('deb', { version: newer }))
    } finally {
      rmSync(cache, { recursive: true, force: true })
    }
  })

  test('is what rpmlint wants, but for what is explained', async () => {
    const { code, out } = await outcomeOf(['rpmlint', '-c', join(checkout, 'packaging/rpm/rpmlint.toml'), first.path])
    assert.match(out, /0 errors, 0 warnings/)
    assert.equal(code, 0)
  })

  test('needs no newer glibc than 2.28, and else only what EL 8 and 9 have', async () => {
    const needs = (await query('--requires')).trim().split('\n')
    const glibc = needs.flatMap((need) => /\(GLIBC_2\.(\d+)/.exec(need)?.[1] ?? []).map(Number)
    assert.equal(Math.max(...glibc), 28)
    const cxx = needs.flatMap((need) => /\(GLIBCXX_3\.4\.(\d+)/.exec(need)?.[1] ?? []).map(Number)
    assert.ok(Math.max(...cxx) <= 25, 'EL 8 has the libstdc++ of GCC 8')
    const named = [...new Set(needs.filter((need) => !/^(?:lib\w+\.so|libstdc\+\+\.so|ld-linux|rtld|rpmlib|config)/.test(need)))].sort()
    assert.deepEqual(named, ['/bin/sh', 'coreutils', 'glibc >= 2.28', 'grep', 'systemd'])
  })

  test('has these files, with these modes and flags', async () => {
    const listed = await query('--qf', '[%{FILEMODES:perms} %{FILEUSERNAME}:%{FILEGROUPNAME} %{FILENAMES} %{FILEFLAGS:fflags}\n]')
    assert.deepEqual(
      listed
        .trim()
        .split('\n')
        .map((line) => line.trim()),
      [
        'drwx------ root:root /etc/hive-agent',
        '-rw-r--r-- root:root /etc/sysconfig/hive-agent cn',
        '-rwxr-xr-x root:root /usr/bin/hive-agent',
        '-rw-r--r-- root:root /usr/lib/systemd/system/hive-agent.service',
        '-rw-r--r-- root:root /usr/lib/tmpfiles.d/hive-agent.conf',
        'drwxr-xr-x root:root /usr/share/licenses/hive-agent',
        '-rw-r--r-- root:root /usr/share/licenses/hive-agent/LICENSE l',
        '-rw-r--r-- root:root /usr/share/licenses/hive-agent/LICENSE.modules l',
        '-rw-r--r-- root:root /usr/share/licenses/hive-agent/LICENSE.nodejs l',
        '-rw-r--r-- root:root /usr/share/man/man8/hive-agent.8.gz d',
        'drwx------ root:root /var/lib/hive-agent',
      ],
    )
  })

  test('holds the executable that its description names', async () => {
    assert.equal(
      (await query('--qf', '[%{FILENAMES} %{FILEDIGESTS}\n]'))
        .split('\n')
        .find((line) => line.startsWith('/usr/bin/'))
        ?.split(' ')[1],
      first.binarySha256,
    )
  })
})

describe('on a host of EL 8', () => {
  let root: ElRoot
  before(async () => {
    root = await ElRoot.make()
  })
  after(() => root.remove())

  const rpm = async (...args: readonly string[]): Promise<void> => {
    const { code, out, err } = await root.rpm(...args)
    // Debian's rpm says that it is not for Debian's packages, and an edited file that stays is named. Anything else would be a scriptlet's complaint.
    assert.deepEqual(
      { code, out, err: err.replace(/^(?:rpm: (?:RPM should not be used|However assuming you know)|warning: .* saved as ).*\n/gm, '') },
      { code: 0, out: '', err: '' },
    )
  }
  const configure = (): void => {
    root.write('etc/hive-agent/agent.json', '{"host": "a.example"}')
    root.write('etc/hive-agent/pki/cert.pem', 'a certificate')
  }
  const asked = (): readonly string[] => root.asked().filter((line) => line.startsWith('systemctl'))

  test('it comes, is upgraded and goes, and what is the host’s stays', async () => {
    const before = root.paths()
    await rpm('-i', first.path)
    assert.equal(statSync(root.path('etc/hive-agent')).mode & 0o777, 0o700)
    assert.deepEqual(asked(), ['systemctl daemon-reload', 'systemctl --quiet enable hive-agent.service'], 'not started: it is in no site yet')

    await rpm('-V', 'hive-agent')
    configure()
    root.write('etc/sysconfig/hive-agent', 'HTTPS_PROXY=http://proxy.example:3128\n')
    await rpm('-U', second.path)
    assert.equal(root.read('etc/sysconfig/hive-agent'), 'HTTPS_PROXY=http://proxy.example:3128\n')
    assert.deepEqual(asked(), ['systemctl daemon-reload', 'systemctl daemon-reload', 'systemctl try-restart hive-agent.service'])
    assert.match((await root.rpm('-q', 'hive-agent')).out, new RegExp(`^hive-agent-${newer}-1\\.el8`))

    await rpm('-e', 'hive-agent')
    assert.deepEqual(asked(), ['systemctl --quiet --no-reload disable hive-agent.service', 'systemctl stop hive-agent.service', 'systemctl daemon-reload'])
    const left = root.paths().filter((path) => !before.includes(path))
    assert.deepEqual(left, ['etc/hive-agent/agent.json', 'etc/hive-agent/pki/cert.pem', 'etc/sysconfig/hive-agent.rpmsave'])
    rmSync(root.path('etc/hive-agent'), { recursive: true })
  })

  test('a host that is in a site already has it running at once', async () => {
    configure()
    await rpm('-i', first.path)
    assert.deepEqual(asked(), ['systemctl daemon-reload', 'systemctl --quiet enable hive-agent.service', 'systemctl restart hive-agent.service'])
  })

  test('the same version with another program replaces it', async () => {
    await rpm('-U', '--replacepkgs', '--oldpackage', first.path)
    assert.ok(asked().includes('systemctl try-restart hive-agent.service'))
    await rpm('-e', 'hive-agent')
    root.asked()
  })

  test('it takes over from an agent that came without a package', async () => {
    root.write('etc/systemd/system/hive-agent.service', '[Unit]\nDescription=hive agent\n')
    root.write('etc/systemd/system/multi-user.target.wants/hive-agent.service', '')
    root.write('usr/bin/hive-agent', 'older')
    await rpm('-i', first.path)
    assert.ok(!existsSync(root.path('etc/systemd/system/hive-agent.service')))
    assert.ok(!existsSync(root.path('etc/systemd/system/multi-user.target.wants/hive-agent.service')))
    assert.notEqual(root.read('usr/bin/hive-agent').slice(0, 5), 'older')
    assert.ok(asked().includes('systemctl restart hive-agent.service'))
  })

  test('a unit that somebody put over it stays when it is upgraded', async () => {
    root.write('etc/systemd/system/hive-agent.service', '[Unit]\nDescription=hive agent\n')
    await rpm('-U', second.path)
    assert.ok(existsSync(root.path('etc/systemd/system/hive-agent.service')))
  })

  test('in an image that is being made nothing is started', async () => {
    await rpm('-e', 'hive-agent')
    rmSync(root.path('run/systemd'), { recursive: true })
    root.asked()
    await rpm('-i', first.path)
    assert.deepEqual(asked(), ['systemctl --quiet enable hive-agent.service'])
  })
})
