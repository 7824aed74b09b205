/** A package source of a lab's host: a folder on it with small packages. */
import type { LabSite } from './lab-site.ts'

export const packageName = 'hive-lab-note'
/** While this file is there, no version of the package can be set up. */
export const stumblingBlock = '/srv/source-breaks'

interface Offered {
  readonly name: string
  readonly version: string
  readonly needs?: string
  /** Script that runs when it is set up. */
  readonly setup?: string
  /** Empty files that it has. */
  readonly files?: readonly string[]
  /** The host has it already. */
  readonly installed?: boolean
}

/** From now on the host's only source has these packages; its agent does not know yet. */
export async function offer(site: LabSite, host: string, packages: readonly Offered[]): Promise<void> {
  const lines = ['set -e', 'rm -rf /srv/source && mkdir -p /srv/source && cd /srv/source']
  for (const [index, { name, version, needs, setup = '', files = [], installed = false }] of packages.entries()) {
    const depends = needs === undefined ? '' : `Depends: ${needs}\\n`
    const control = `Package: ${name}\\nVersion: ${version}\\nArchitecture: all\\nMaintainer: lab <lab@example.org>\\n${depends}Description: a package\\n`
    lines.push(
      `mkdir -p ${index}/DEBIAN && printf '${control}' > ${index}/DEBIAN/control`,
      `printf '#!/bin/sh\\n${setup}\\n' > ${index}/DEBIAN/postinst && chmod 755 ${index}/DEBIAN/postinst`,
      ...files.map((file) => `mkdir -p $(dirname ${index}${file}) && touch ${index}${file}`),
      `dpkg-deb --build ${index} ${index}.deb > /dev/null`,
      `{ cat ${index}/DEBIAN/control; printf 'Filename: ./${index}.deb\\nSize: %s\\nSHA256: %s\\n\\n' $(stat -c %s ${index}.deb) $(sha256sum ${index}.deb | cut -d' ' -f1); } >> Packages`,
      installed ? `dpkg --install ${index}.deb > /dev/null` : 'true',
    )
  }
  lines.push(
    'rm -rf /etc/apt/sources.list.d/* && echo "deb [trusted=yes] file:/srv/source ./" > /etc/apt/sources.list',
    // Asked for at most once an hour.
    'rm -f /var/lib/hive-agent/package-lists',
  )
  await site.onHost(host, lines.join('\n'))
}

export const note = (version: string): Offered => ({ name: packageName, version, setup: `! test -e ${stumblingBlock}` })

/** A kernel as Debian has it, and the package that names the newest. It asks for a restart. */
export const kernel = (release: string, version: string): readonly Offered[] => [
  { name: `linux-image-${release}`, version: '1', files: [`/boot/vmlinuz-${release}`], setup: 'touch /run/reboot-required' },
  { name: 'linux-image-lab', version, needs: `linux-image-${release}` },
]

/** The version that is set up on the host; '' where none is. */
export const installedVersion = async (site: LabSite, host: string): Promise<string> => {
  const said = (await site.onHost(host, `dpkg-query --show --showformat '\${db:Status-Status} \${Version}' ${packageName} 2>/dev/null || true`)).trim()
  return said.startsWith('installed ') ? said.slice('installed '.length) : ''
}
