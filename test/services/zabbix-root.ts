/** Zabbix server, its web UI with a PHP, and PostgreSQL, unpacked from Debian's packages into the cache, with a database that has Zabbix' schema. */
import { execFile } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { unpackedPackages } from '../support/unpacked-packages.ts'
import { nobody, startChild } from './child.ts'

export type ZabbixVersion = '6.0' | '7.0'

/** Debian 12 has 6.0; 7.0 comes from its backports. */
const suites: Readonly<Record<ZabbixVersion, string | undefined>> = { '6.0': undefined, '7.0': 'bookworm-backports' }

const database = ['postgresql-15', 'postgresql-client-15', 'libpq5', 'libldap-2.5-0', 'libsasl2-2', 'libxml2', 'libicu72', 'libxslt1.1']
const php = [
  ...['cli', 'common', 'opcache', 'bcmath', 'gd', 'mbstring', 'xml', 'pgsql'].map((part) => `php8.2-${part}`),
  ...['libonig5', 'libargon2-1', 'libsodium23', 'libedit2', 'libbsd0', 'libpcre2-8-0', 'libsqlite3-0'],
]
const graphics = [
  ...[
    'libgd3',
    'libxpm4',
    'libjpeg62-turbo',
    'libtiff6',
    'libwebp7',
    'libwebpdemux2',
    'libavif15',
    'libpng16-16',
    'libfreetype6',
    'libfontconfig1',
    'libheif1',
  ],
  ...['libde265-0', 'libx265-199', 'libdav1d6', 'libaom3', 'libgav1-1', 'librav1e0', 'libsvtav1enc1', 'libyuv0', 'libabsl20220623', 'liblerc4', 'libjbig0'],
  ...['libdeflate0', 'libx11-6', 'libxcb1', 'libxau6', 'libxdmcp6', 'libnuma1', 'fonts-dejavu-core'],
]
const server = [
  ...['libodbc2', 'libodbcinst2', 'libopenipmi0', 'libsnmp40', 'libltdl7', 'libmodbus5', 'libevent-2.1-7', 'libevent-core-2.1-7', 'libevent-extra-2.1-7'],
  ...['libevent-pthreads-2.1-7', 'libssh2-1', 'libcurl3-gnutls', 'librtmp1', 'libnghttp2-14', 'libpsl5', 'libsensors5', 'fping'],
]

/** The web UI's settings come from the environment of its PHP. */
const settings = `<?php
$DB = ['TYPE' => 'POSTGRESQL', 'SERVER' => getenv('DB_SERVER'), 'PORT' => '5432', 'DATABASE' => 'zabbix', 'USER' => 'zabbix', 'PASSWORD' => '', 'SCHEMA' => '',
  'ENCRYPTION' => false, 'KEY_FILE' => '', 'CERT_FILE' => '', 'CA_FILE' => '', 'VERIFY_HOST' => false, 'CIPHER_LIST' => '',
  'VAULT_URL' => '', 'VAULT_DB_PATH' => '', 'VAULT_TOKEN' => '', 'DOUBLE_IEEE754' => true];
$ZBX_SERVER = '127.0.0.1'; $ZBX_SERVER_PORT = getenv('ZBX_PORT'); $ZBX_SERVER_NAME = 'in place'; $IMAGE_FORMAT_DEFAULT = IMAGE_FORMAT_PNG;
`

export const databaseServer = (root: string): string => join(root, 'usr/lib/postgresql/15/bin/postgres')

/** For a test, data need not outlive the machine. */
export const databaseOptions = (socketFolder: string): readonly string[] =>
  Object.entries({
    listen_addresses: '',
    unix_socket_directories: socketFolder,
    fsync: 'off',
    synchronous_commit: 'off',
    full_page_writes: 'off',
    shared_buffers: '64MB',
    jit: 'off',
    log_min_messages: 'warning',
  }).flatMap(([key, value]) => ['-c', `${key}=${value}`])

/** Where programs of the root find their libraries. */
export const librariesOf = (root: string): Readonly<Record<string, string>> => ({
  LD_LIBRARY_PATH: ['usr/lib', 'lib']
    .flatMap((lib) =>
      readdirSync(join(root, lib))
        .filter((name) => name.endsWith('-linux-gnu'))
        .map((name) => join(root, lib, name)),
    )
    .join(':'),
})

/** Its root folder; made first where it is not there, in a minute. `database.tar` in it is a folder of PostgreSQL's named `seed`. */
export const ensureZabbixRoot = (version: ZabbixVersion, signal: AbortSignal): Promise<string> => {
  const suite = suites[version]
  return unpackedPackages(
    {
      name: `zabbix-${version}`,
      packages: [
        ...['zabbix-server-pgsql', 'zabbix-frontend-php'].map((name) => (suite === undefined ? name : `${name}/${suite}`)),
        ...database,
        ...php,
        ...graphics,
        ...server,
      ],
      ...(suite === undefined ? {} : { suites: [suite] }),
      useless: ['usr/share/doc', 'usr/share/man', 'usr/share/locale', 'usr/share/lintian', 'usr/share/bug', 'var', 'lib/systemd', 'usr/lib/systemd'],
      finish: { version: 1, work: (root) => finish(root) },
    },
    signal,
  )
}

async function finish(root: string): Promise<void> {
  mkdirSync(join(root, 'etc/zabbix'), { recursive: true })
  writeFileSync(join(root, 'etc/zabbix/zabbix.conf.php'), settings)
  // Debian's package has an absolute path compiled in.
  const config = join(root, 'usr/share/zabbix/include/classes/core/CConfigFile.php')
  const source = readFileSync(config, 'utf8')
  const changed = source.replace("'/etc/zabbix/zabbix.conf.php'", "__DIR__.'/../../../../../../etc/zabbix/zabbix.conf.php'")
  if (changed === source) throw new Error(`${config} does not name its settings as expected`)
  writeFileSync(config, changed)
  await seedDatabase(root)
}

/** Roles, schema and first data take half a minute; what comes out is kept as an archive, and each test unpacks its own. */
async function seedDatabase(root: string): Promise<void> {
  const work = join(dirname(root), 'database')
  chmodSync(dirname(root), 0o711)
  mkdirSync(work, { mode: 0o755 })
  const isRoot = process.getuid?.() === 0
  if (isRoot) chownSync(work, nobody.uid, nobody.gid)
  const [bin, seed] = [dirname(databaseServer(root)), join(work, 'seed')]
  const env = { PATH: '/usr/bin:/bin', HOME: '/nonexistent', LC_ALL: 'C.UTF-8', ...librariesOf(root) }
  const exec = (argv: readonly [string, ...string[]]) =>
    promisify(execFile)(argv[0], argv.slice(1), { env, cwd: work, maxBuffer: 2 ** 26, ...(isRoot ? nobody : {}) })
  await exec([join(bin, 'initdb'), '-D', seed, '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C.UTF-8'])
  const log = join(work, 'log')
  const postgres = startChild([databaseServer(root), '-D', seed, ...databaseOptions(work)], { env, user: nobody, log, endsAt: 'SIGINT' })
  try {
    const psql = (user: string, ...rest: string[]) => exec([join(bin, 'psql'), '-h', work, '-U', user, '-q', '-v', 'ON_ERROR_STOP=1', ...rest])
    const ready = async (): Promise<void> => {
      for (;;) {
        postgres.assertAlive()
        try {
          return void (await exec([join(bin, 'pg_isready'), '-q', '-t', '30', '-h', work]))
        } catch {
          await new Promise((resolve) => setTimeout(resolve, 100))
        }
      }
    }
    await ready()
    await psql('postgres', '-c', 'create role zabbix login', '-c', 'create database zabbix owner zabbix', 'postgres')
    const files = ['schema', 'images', 'data'].map((name) => join(root, `usr/share/zabbix-server-pgsql/${name}.sql.gz`))
    await exec([
      'sh',
      '-c',
      'psql=$1 host=$2; shift 2; zcat "$@" | "$psql" -h "$host" -U zabbix -q -1 -v ON_ERROR_STOP=1 zabbix >/dev/null',
      'sh',
      join(bin, 'psql'),
      work,
      ...files,
    ])
    // Without statistics the API's host.create takes seconds.
    await psql('postgres', '-c', 'vacuum analyze', 'zabbix')
  } finally {
    await postgres.stop()
  }
  await promisify(execFile)('tar', ['-C', work, '--owner=0', '--group=0', '--numeric-owner', '-cf', join(root, 'database.tar'), 'seed'])
  rmSync(work, { recursive: true })
}
