/** DRBD's kernel module and tools on a host that mirrors volumes, and where EL finds them. */
import type { Step } from '#gen/hive/v1/step.ts'
import type { Host } from '../../inventory/site.ts'
import { file } from './file.ts'
import { hostStep, when } from './host-step.ts'
import { repository, withoutSlash } from './package-sources.ts'

const elrepoUrl = 'https://elrepo.org/linux'
const elrepoMirrors = 'http://mirrors.elrepo.org/mirrors-elrepo.el$releasever'
/** Each package is signed with one of them. */
const elrepoKeys = 'https://www.elrepo.org'

/** For hosts that take part in mirrored volumes, with a disk or without. A module that is named by its address needs no source. */
export const drbdPackages = (host: Host): readonly Step[] => [...when(host.settings.drbdDownloadUrl === undefined, elrepo(host)), drbdModule(host)]

function elrepo(host: Host): Step {
  const { elrepoSourceUrl } = host.settings
  const base = withoutSlash(elrepoSourceUrl ?? elrepoUrl)
  const keys = elrepoSourceUrl === undefined ? elrepoKeys : base
  const places = [`baseurl=${base}/elrepo/el$releasever/$basearch/`, ...(elrepoSourceUrl === undefined ? [`mirrorlist=${elrepoMirrors}`] : [])]
  const content = repository('hive-elrepo', 'ELRepo', places.join('\n'), `${keys}/RPM-GPG-KEY-v2-elrepo.org ${keys}/RPM-GPG-KEY-elrepo.org`)
  return hostStep(host, 'elrepo', 'package source of DRBD (EL)', 'ensureFiles', {
    files: [{ ...file('/etc/yum.repos.d/hive-elrepo.repo', content), system: 'dnf' }],
  })
}

const drbdModule = (host: Host): Step =>
  hostStep(
    host,
    'drbd-module',
    'DRBD 9',
    'ensureDrbdModule',
    { downloadUrl: host.settings.drbdDownloadUrl ?? '', kernelVersion: host.settings.kernelVersion ?? '' },
    // Building a module on the host takes some minutes.
    { after: ['elrepo', 'packages', 'selinux'], timeoutSeconds: 2400 },
  )
