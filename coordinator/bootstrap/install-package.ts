/** Installing a package of the agent on a host: shell scripts, idempotent, safe to be cut short anywhere. */
import type { PackagedAgent, PackageKind } from './embedded-packages.ts'
import { quoted } from './ssh.ts'

/** Seconds that another package manager (unattended upgrades, say) is waited for. */
export const lockPatience = 600

const installers: Readonly<Record<PackageKind, string>> = {
  // dpkg repairs what an interrupted run of it left of this package.
  deb: 'DEBIAN_FRONTEND=noninteractive dpkg --force-confdef --force-confold --install "$package"',
  // The same version may be another build, and an installation that was cut short is repeated.
  rpm: 'rpm --upgrade --replacepkgs --oldpackage "$package"',
}

/**
 * Takes the package from standard input. It is checked before it is used and lies on the host only meanwhile. Lines on standard output
 * say what it waits for.
 */
export const installScript = ({ kind, fileName, sha256 }: Pick<PackagedAgent, 'kind' | 'fileName' | 'sha256'>): string =>
  [
    'set -e',
    'export LC_ALL=C',
    'umask 077',
    'folder=$(mktemp -d /var/tmp/hive-agent.XXXXXX)',
    `trap 'rm -rf "$folder"' EXIT`,
    `trap 'exit 1' HUP INT TERM`,
    `package=$folder/${quoted(fileName)}`,
    'cat > "$package"',
    `echo "${sha256}  $package" | sha256sum -c --status || { echo "the package arrived damaged" >&2; exit 1; }`,
    `end=$(($(date +%s) + ${lockPatience}))`,
    'waiting=',
    `until said=$(${installers[kind]} 2>&1 </dev/null); do`,
    '  case $said in',
    '  *lock*)',
    '    if [ "$(date +%s)" -ge "$end" ]; then echo "$said" >&2; echo "another package manager is at work on the host" >&2; exit 1; fi',
    '    if [ -z "$waiting" ]; then waiting=1; echo "waiting for another package manager: $said" | tr "\\n" " "; echo; fi',
    '    sleep 1 ;;',
    '  *) echo "$said" >&2; exit 1 ;;',
    '  esac',
    'done',
  ].join('\n')

/** A unit that came here without a package hides the package's own. */
export const removeOldUnit = [
  'old=/etc/systemd/system/hive-agent.service',
  `if [ -f $old ] && [ ! -L $old ] && grep -qx 'Description=hive agent' $old; then rm -f $old; fi`,
].join('\n')
