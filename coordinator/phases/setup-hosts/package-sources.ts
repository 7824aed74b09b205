/**
 * Where EL finds what its own repositories do not have: docker in docker's, and in EPEL the Ansible that comes with its
 * collections (the one of AppStream has no docker connection). Files instead of the package epel-release, which RHEL does not have.
 */
import type { Step } from '#gen/hive/v1/step.ts'
import type { Host } from '../../inventory/site.ts'
import { lines } from './base-system.ts'
import { file } from './file.ts'
import { hostStep } from './host-step.ts'

const dockerUrl = 'https://download.docker.com/linux/centos'
const epelUrl = 'https://dl.fedoraproject.org/pub/epel'
const epelMirrors = 'https://mirrors.fedoraproject.org/metalink?repo=epel-$releasever&arch=$basearch'

export function packageSources(host: Host): Step {
  const { dockerSourceUrl, epelSourceUrl } = host.settings
  const docker = withoutSlash(dockerSourceUrl ?? dockerUrl)
  const epel = withoutSlash(epelSourceUrl ?? epelUrl)
  const files = [
    file('/etc/yum.repos.d/docker-ce.repo', repository('docker-ce-stable', 'Docker CE', `baseurl=${docker}/$releasever/$basearch/stable`, `${docker}/gpg`)),
    file(
      '/etc/yum.repos.d/hive-epel.repo',
      repository(
        'hive-epel',
        'Extra Packages for Enterprise Linux',
        epelSourceUrl === undefined ? `metalink=${epelMirrors}` : `baseurl=${epel}/$releasever/Everything/$basearch/`,
        `${epel}/RPM-GPG-KEY-EPEL-$releasever`,
      ),
    ),
  ]
  return hostStep(host, 'package-sources', 'package sources of docker and Ansible (EL)', 'ensureFiles', {
    files: files.map((one) => ({ ...one, system: 'dnf' })),
  })
}

/** dnf fills in $releasever, the major version, and $basearch. */
export const repository = (id: string, name: string, place: string, key: string): string =>
  lines([`[${id}]`, `name=${name}`, place, 'enabled=1', 'gpgcheck=1', `gpgkey=${key}`])

export const withoutSlash = (url: string): string => url.replace(/\/+$/, '')
