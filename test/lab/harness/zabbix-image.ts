/**
 * An image with all of Zabbix out of Debian's packages: server, web UI, PostgreSQL. It goes by the variables of the official images, and by
 * its command for which of them to be; made once and cached outside the checkout.
 */
import { chmodSync, copyFileSync, existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { run } from '../../../coordinator/providers/command.ts'
import { ensureZabbixRoot } from '../../services/zabbix-root.ts'
import { unpackedPackages } from '../../support/unpacked-packages.ts'

const version = '7.0'
const suite = 'bookworm-backports'

/** What inventories call it. */
export const zabbixImageName = `zabbix:${version}`

/** Its command is `zabbix-part server`, `web` or `database`. */
const part = `#!/bin/sh
set -eu
export PATH=/usr/lib/postgresql/15/bin:/usr/sbin:/usr/bin:/sbin:/bin
as() { user=$1; shift; exec setpriv --reuid="$user" --regid="$user" --clear-groups "$@"; }
case $1 in
database)
  data=/var/lib/postgresql/data
  if [ ! -e "$data/PG_VERSION" ]; then
    tar -C "$data" --strip-components=1 --no-same-owner -xf /usr/share/zabbix-database.tar
    printf 'local all all trust\\nhost all all 127.0.0.1/32 trust\\nhost all all 0.0.0.0/0 scram-sha-256\\n' >"$data/pg_hba.conf"
    chown -R 70:70 "$data"
    chmod 700 "$data"
    # As a file of the data's own, so that a start that was cut short does it again.
    printf "alter role zabbix password '%s'\\n" "$POSTGRES_PASSWORD" | setpriv --reuid=70 --regid=70 --clear-groups postgres --single -D "$data" zabbix >/dev/null
  fi
  mkdir -p /run/postgresql && chown 70:70 /run/postgresql
  as 70 postgres -D "$data" -c listen_addresses='*' -c unix_socket_directories=/run/postgresql -c fsync=off -c jit=off -c shared_buffers=64MB
  ;;
server)
  umask 077
  cat >/run/zabbix_server.conf <<C
DBHost=$DB_SERVER_HOST
DBName=$POSTGRES_DB
DBUser=$POSTGRES_USER
DBPassword=$POSTGRES_PASSWORD
LogType=console
PidFile=/tmp/zabbix_server.pid
SocketDir=/tmp
CacheUpdateFrequency=2
ValueCacheSize=$ZBX_VALUECACHESIZE
StartPollers=1
StartTrappers=5
StartDBSyncers=2
StartPreprocessors=2
StartDiscoverers=1
StartPingers=1
C
  chown 1997:1997 /run/zabbix_server.conf
  while ! pg_isready -q -h "$DB_SERVER_HOST"; do sleep 1; done
  as 1997 zabbix_server -f -c /run/zabbix_server.conf
  ;;
web)
  PHP_CLI_SERVER_WORKERS=4 as 1997 php8.2 -n PHP_OPTIONS -d date.timezone="$PHP_TZ" -S 0.0.0.0:8080 -t /usr/share/zabbix
  ;;
esac
`

const settings = `<?php
$DB = ['TYPE' => 'POSTGRESQL', 'SERVER' => getenv('DB_SERVER_HOST'), 'PORT' => '5432', 'DATABASE' => getenv('POSTGRES_DB'),
  'USER' => getenv('POSTGRES_USER'), 'PASSWORD' => getenv('POSTGRES_PASSWORD'), 'SCHEMA' => '', 'ENCRYPTION' => false, 'KEY_FILE' => '',
  'CERT_FILE' => '', 'CA_FILE' => '', 'VERIFY_HOST' => false, 'CIPHER_LIST' => '', 'VAULT_URL' => '', 'VAULT_DB_PATH' => '', 'VAULT_TOKEN' => '',
  'DOUBLE_IEEE754' => true];
$ZBX_SERVER = getenv('ZBX_SERVER_HOST'); $ZBX_SERVER_PORT = '10051'; $ZBX_SERVER_NAME = getenv('ZBX_SERVER_NAME'); $IMAGE_FORMAT_DEFAULT = IMAGE_FORMAT_PNG;
`

const accounts = `root:x:0:0::/root:/bin/sh
postgres:x:70:70::/var/lib/postgresql:/bin/sh
zabbix:x:1997:1997::/tmp:/bin/sh
nobody:x:65534:65534::/nonexistent:/bin/sh
`

const packages = [
  ...['zabbix-server-pgsql', 'zabbix-frontend-php'].map((name) => `${name}/${suite}`),
  ...['cli', 'pgsql', 'gd', 'mbstring', 'xml', 'bcmath', 'opcache'].map((name) => `php8.2-${name}`),
  ...['postgresql-15', 'postgresql-client-15', 'libc-bin', 'dash', 'coreutils', 'util-linux', 'tar', 'tzdata', 'fonts-dejavu-core'],
]
const php = {
  ...{ memory_limit: '256M', post_max_size: '32M', max_execution_time: '300', max_input_time: '300', display_errors: '0', log_errors: '1' },
  ...{ 'session.save_path': '/tmp', zend_extension: 'opcache', 'opcache.enable_cli': '1' },
}

/** The folder with zabbix_7.0.rootfs.tar. Needs Debian's packages the first time: two minutes. */
export async function zabbixImageFolder(signal: AbortSignal): Promise<string> {
  const inPlace = await ensureZabbixRoot(version, signal)
  return unpackedPackages(
    {
      name: 'zabbix-image',
      packages,
      suites: [suite],
      without:
        /^(?:perl|libperl|python3|libpython3|debconf|ucf|adduser|passwd|systemd|libsystemd-shared|dbus|postgresql-common|postgresql-client-common|init-system|ssl-cert|openssl|libllvm|apache2|libapache2|fping|snmp|libdav1d|libcdebconf|readline-common|sensible|media-types|locales|dpkg)/,
      useless: [
        'usr/share/doc',
        'usr/share/man',
        'usr/share/locale',
        'usr/share/lintian',
        'usr/share/bug',
        'usr/share/i18n',
        'usr/share/zabbix-server-pgsql',
        'usr/lib/systemd',
        'lib/systemd',
      ],
      finish: { version: 2, work: (root) => asImage(root, inPlace, signal) },
    },
    signal,
  )
}

/** In the folder's place comes one with the archive of what was in it. */
async function asImage(root: string, inPlace: string, signal: AbortSignal): Promise<void> {
  for (const folder of ['tmp', 'run', 'root', 'proc', 'sys', 'dev', 'etc/zabbix', 'var/lib/postgresql/data']) mkdirSync(join(root, folder), { recursive: true })
  chmodSync(join(root, 'tmp'), 0o1777)
  for (const name of ['sh']) if (!existsSync(join(root, 'bin', name))) symlinkSync('dash', join(root, 'bin', name))
  for (const name of ['pg_dump', 'psql', 'pg_isready']) {
    rmSync(join(root, 'usr/bin', name), { force: true })
    symlinkSync(`../lib/postgresql/15/bin/${name}`, join(root, 'usr/bin', name))
  }
  writeFileSync(join(root, 'etc/passwd'), accounts)
  writeFileSync(join(root, 'etc/group'), accounts.replaceAll(/^(\w+):x:(\d+).*$/gm, '$1:x:$2:'))
  writeFileSync(join(root, 'etc/zabbix/zabbix.conf.php'), settings)
  copyFileSync(join(inPlace, 'database.tar'), join(root, 'usr/share/zabbix-database.tar'))
  const modules = 'usr/lib/php/20220829'
  const extensions = readdirSync(join(root, modules)).flatMap((file) => (file === 'opcache.so' || !file.endsWith('.so') ? [] : [file.slice(0, -3)]))
  // Some need others before them.
  const first = ['dom', 'xml', 'pdo'].filter((name) => extensions.includes(name))
  const inOrder = [...first, ...extensions.filter((name) => !first.includes(name) && !['pdo_pgsql', 'phar', 'ffi', 'readline'].includes(name))]
  const options = [
    `-d extension_dir=/${modules}`,
    ...Object.entries(php).map(([key, value]) => `-d ${key}=${value}`),
    ...inOrder.map((name) => `-d extension=${name}`),
  ]
  writeFileSync(join(root, 'usr/bin/zabbix-part'), part.replace('PHP_OPTIONS', options.join(' ')))
  chmodSync(join(root, 'usr/bin/zabbix-part'), 0o755)
  const archive = `${root}.tar`
  await run(['tar', '-C', root, '--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '-cf', archive, '.'], { signal, timeout: 300_000 })
  rmSync(root, { recursive: true })
  mkdirSync(root, { mode: 0o755 })
  renameSync(archive, join(root, `zabbix_${version}.rootfs.tar`))
}
