/** What a host is, as far as a package of the agent depends on it: asked by one shell script, before there is an agent. */
import { HiveError } from '../../proto/errors.ts'
import type { PackageKind } from './embedded-packages.ts'

export interface HostFacts {
  /** As `uname -m` tells. */
  readonly machine: string
  /** "2.36"; "" where it is another libc. */
  readonly glibc: string
  /** ID and ID_LIKE of /etc/os-release. */
  readonly kin: readonly string[]
  /** PRETTY_NAME of it, for people. */
  readonly system: string
  /** Which of rpm, dnf, yum, dpkg and systemctl are there. */
  readonly tools: readonly string[]
  /** SHA-256 of /usr/bin/hive-agent, "" where there is none. */
  readonly binarySha256: string
  /** A package of the agent is installed, all of it. */
  readonly packaged: boolean
  /** SHA-256 of the agent's configuration, "" where there is none. */
  readonly configSha256: string
}

/** Prints KEY=VALUE lines for `readHostFacts`. Reads only. */
export const factsScript = [
  'export LC_ALL=C',
  'echo "machine=$(uname -m)"',
  'echo "glibc=$(getconf GNU_LIBC_VERSION 2>/dev/null)"',
  '(. /etc/os-release; echo "kin=$ID $ID_LIKE"; echo "system=$PRETTY_NAME") 2>/dev/null',
  'for tool in rpm dnf yum dpkg systemctl; do if command -v $tool >/dev/null; then echo "tool=$tool"; fi; done',
  'echo "binary=$(sha256sum /usr/bin/hive-agent 2>/dev/null)"',
  "if dpkg -s hive-agent 2>/dev/null | grep -qx 'Status: install ok installed'; then echo 'package=deb'; fi",
  'if rpm -q hive-agent >/dev/null 2>&1; then echo "package=rpm"; fi',
  'echo "config=$(sha256sum /etc/hive-agent/agent.json 2>/dev/null)"',
  'exit 0',
].join('\n')

export function readHostFacts(text: string): HostFacts {
  const lines = text.split('\n').map((line): [string, string] => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1).trim()])
  const one = (key: string): string => lines.find(([name]) => name === key)?.[1] ?? ''
  return {
    machine: one('machine'),
    glibc: /^glibc (\S+)/.exec(one('glibc'))?.[1] ?? '',
    kin: one('kin').split(/\s+/).filter(Boolean),
    system: one('system') || 'a system without /etc/os-release',
    tools: lines.flatMap(([name, value]) => (name === 'tool' ? [value] : [])),
    binarySha256: one('binary').split(' ')[0] ?? '',
    packaged: one('package') !== '',
    configSha256: one('config').split(' ')[0] ?? '',
  }
}

const leastGlibc = [2, 28] as const
const needs = 'the agent needs Debian 10, Ubuntu 20.04, Enterprise Linux 8 or later, on x86_64'

/** Which package fits. Throws HiveError 'unsupported' that says what the host is and what is missing. */
export function packageFor(host: string, { machine, glibc, kin, system, tools }: HostFacts): PackageKind {
  const unsupported = (why: string): HiveError => new HiveError('unsupported', `${host} is ${system}: ${why}`, { host, hint: needs })
  if (machine !== 'x86_64') throw unsupported(`its processor is ${machine || 'unknown'}, and the agent is built for x86_64`)
  if (glibc === '') throw unsupported('it has no glibc')
  if (!isAtLeast(glibc, leastGlibc)) throw unsupported(`its glibc is ${glibc}, and the agent needs ${leastGlibc.join('.')}`)
  if (!tools.includes('systemctl')) throw unsupported('it has no systemd')
  const kind = kindOf(kin, tools)
  if (kind === undefined) throw unsupported(`it has neither rpm with dnf or yum, nor dpkg${tools.length === 0 ? '' : ` (but ${tools.join(', ')})`}`)
  return kind
}

/** Both tools may be there; what the system itself is made of decides. */
function kindOf(kin: readonly string[], tools: readonly string[]): PackageKind | undefined {
  const deb = tools.includes('dpkg')
  const rpm = tools.includes('rpm') && (tools.includes('dnf') || tools.includes('yum'))
  if (deb && rpm) return kin.some((name) => name === 'debian' || name === 'ubuntu') ? 'deb' : 'rpm'
  if (deb) return 'deb'
  return rpm ? 'rpm' : undefined
}

function isAtLeast(version: string, [major, minor]: readonly [number, number]): boolean {
  const [ownMajor = 0, ownMinor = 0] = version.split('.').map(Number)
  return ownMajor > major || (ownMajor === major && ownMinor >= minor)
}
