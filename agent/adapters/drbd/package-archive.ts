/**
 * An archive of DRBD's packages (hive_drbd_download_url): a tar file, compressed or not, of .rpm or .deb files. They are usually not
 * signed, so what is trusted is where they come from: https, or a checksum in the address.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import path from 'node:path'
import { pipeline } from 'node:stream/promises'
import { HiveError } from '../../../proto/errors.ts'
import { run } from '../command.ts'
import type { PackageSystem } from '../os.ts'
import type { PackageWork } from '../packages.ts'
import { floorText, reachesFloor } from './module-version.ts'

export interface ArchiveSource {
  readonly url: string
  /** Hexadecimal; '': not given. */
  readonly sha256: string
}

/** URL, with `#sha256=…` behind it where it is not https. Throws HiveError 'invalid-input'. */
export function parseArchiveSource(text: string): ArchiveSource {
  const [url = '', fragment = ''] = text.split('#', 2)
  const sha256 = /^sha256=([0-9a-fA-F]{64})$/.exec(fragment)?.[1]?.toLowerCase() ?? ''
  const wrong = (message: string, hint: string): never => {
    throw new HiveError('invalid-input', `hive_drbd_download_url: ${message}`, { hint })
  }
  if (fragment !== '' && sha256 === '') wrong(`"#${fragment}" is no checksum`, 'write #sha256= and 64 hexadecimal digits')
  if (!/^(?:https?:\/\/\S+|file:\/\/\/\S+)$/.test(url)) wrong(`"${url}" is no address`, 'write https://…, or file:///… for an archive on the host')
  if (url.startsWith('http://') && sha256 === '')
    wrong('what comes over http may be anybody’s', 'write https://…, or the checksum behind it: http://…#sha256=…')
  return { url, sha256 }
}

/** The version of DRBD that the name of the archive tells, "drbd-9.3.4-…"; '' where it tells none. */
export const versionInName = (url: string): string => /drbd[^/\d]*(\d+\.\d+\.\d+)/.exec(path.basename(url.split('#')[0] ?? ''))?.[1] ?? ''

export interface PackageFile {
  readonly file: string
  readonly name: string
  readonly version: string
  /** Kernel releases that it has drbd.ko for. */
  readonly kernels: readonly string[]
  /** It has the sources of the module, which DKMS builds. */
  readonly sources: boolean
  readonly tools: boolean
}

const modulePath = /^\.?\/?(?:usr\/)?lib\/modules\/([^/]+)\/(?:.*\/)?drbd\.ko(?:\.(?:xz|gz|zst))?$/

/** What a package is for, by its files. */
export const describePackage = (file: string, name: string, version: string, paths: readonly string[]): PackageFile => ({
  file,
  name,
  version,
  kernels: [...new Set(paths.flatMap((one) => modulePath.exec(one)?.[1] ?? []))],
  sources: paths.some((one) => /^\.?\/?usr\/src\/drbd-[^/]+\/dkms\.conf$/.test(one)),
  tools: paths.some((one) => /^\.?\/?(?:usr\/)?s?bin\/drbdadm$/.test(one)),
})

/**
 * Those of the packages that are installed for this kernel: all but modules of other kernels. Where none has a module for exactly this
 * kernel, EL's kmod packages are taken, whose module serves all kernels of one compatible series. Throws HiveError 'blocked'.
 */
export function choosePackages(packages: readonly PackageFile[], kernel: string, hasTools: boolean): readonly PackageFile[] {
  const hint = `an archive is needed of packages for kernel ${kernel} with DRBD ${floorText} or newer`
  const blocked = (message: string): never => {
    throw new HiveError('blocked', `hive_drbd_download_url: ${message}`, { hint })
  }
  const ofModules = packages.filter(({ kernels, sources }) => kernels.length > 0 || sources)
  if (ofModules.length === 0) blocked('none of its packages has the module drbd')
  const exact = ofModules.filter(({ kernels }) => kernels.includes(kernel))
  const general = ofModules.filter(({ name, sources }) => sources || name.startsWith('kmod-'))
  const chosen = exact.length > 0 ? exact : general
  if (chosen.length === 0)
    blocked(`it has the module for kernel ${[...new Set(ofModules.flatMap(({ kernels }) => kernels))].join(', ')}, and this host has ${kernel}`)
  const old = chosen.find(({ version }) => !reachesFloor(version))
  if (old !== undefined) blocked(`its DRBD ${old.version} is too old`)
  if (!hasTools && !packages.some(({ tools }) => tools)) blocked('it has no drbd-utils, and this host neither')
  return packages.filter((one) => !ofModules.includes(one) || chosen.includes(one))
}

const suffixes: { readonly [K in PackageSystem]: string } = { dnf: '.rpm', apt: '.deb' }
/** Packages for developers that such archives bring along. */
const notForUse = /(?:\.src\.rpm|-(?:debuginfo|debugsource|dbgsym|dbg)[-_][^/]*)$/

/** The members of the archive that are packages for this system. Throws HiveError 'blocked' for names that lead out of its folder. */
export function packageMembers(listing: string, system: PackageSystem): readonly string[] {
  const members = listing.split('\n').filter((name) => name.endsWith(suffixes[system]) && !notForUse.test(name))
  const outside = members.find((name) => name.startsWith('/') || name.startsWith('-') || name.split('/').includes('..'))
  if (outside !== undefined) throw new HiveError('blocked', `hive_drbd_download_url: the archive has a file ${outside}`)
  if (members.length === 0) throw new HiveError('blocked', `hive_drbd_download_url: the archive has no ${suffixes[system]} file`)
  return members
}

/** Fetches the archive into the folder and answers its packages. It has all of its deadlines. */
export async function fetchPackages({ url, sha256 }: ArchiveSource, system: PackageSystem, folder: string, work: PackageWork): Promise<readonly PackageFile[]> {
  const { signal } = work
  const archive = url.startsWith('file://') ? decodeURIComponent(new URL(url).pathname) : path.join(folder, 'archive')
  if (!url.startsWith('file://')) {
    work.onLine(`fetching ${url}`)
    const protocols = url.startsWith('http:') ? '=http,https' : '=https'
    const waiting = ['--connect-timeout', '30', '--speed-limit', '1000', '--speed-time', '60', '--retry', '2']
    await run(['curl', '--fail', '--silent', '--show-error', '--location', '--proto', protocols, ...waiting, '--output', archive, url], {
      timeout: 1_800_000,
      signal,
    })
  }
  await assertChecksum(archive, url, sha256)
  const members = packageMembers((await run(['tar', '-tf', archive], { readOnly: true, timeout: 300_000, signal })).stdout, system)
  await run(['tar', '-xf', archive, '-C', folder, '--no-same-owner', '--', ...members], { timeout: 300_000, signal })
  return Promise.all(members.map((member) => (system === 'dnf' ? readRpm : readDeb)(path.join(folder, member), signal)))
}

async function assertChecksum(archive: string, url: string, wanted: string): Promise<void> {
  if (wanted === '') return
  const hash = createHash('sha256')
  await pipeline(createReadStream(archive), hash)
  const found = hash.digest('hex')
  if (found !== wanted)
    throw new HiveError('blocked', `${url} has the SHA-256 ${found}`, { hint: `hive_drbd_download_url names ${wanted}: one of the two is wrong` })
}

/** rpm checks the digests of the file by itself. */
async function readRpm(file: string, signal: AbortSignal): Promise<PackageFile> {
  const format = '%{NAME}\\t%{VERSION}\\n[%{FILENAMES}\\n]'
  const { stdout } = await run(['rpm', '-qp', '--nosignature', '--qf', format, file], { readOnly: true, signal })
  const [head = '', ...paths] = stdout.split('\n')
  const [name = '', version = ''] = head.split('\t')
  return describePackage(file, name, version, paths)
}

async function readDeb(file: string, signal: AbortSignal): Promise<PackageFile> {
  const { stdout } = await run(['dpkg-deb', '--show', '--showformat', `\${Package}\\t\${Version}\\n`, file], { readOnly: true, signal })
  const [name = '', version = ''] = stdout.trim().split('\t')
  const listing = await run(['dpkg-deb', '--contents', file], { readOnly: true, timeout: 120_000, signal })
  // As `tar -tv`: mode, owner, size, date, time, then the path.
  const paths = listing.stdout.split('\n').map((line) => /^\S+\s+\S+\s+\d+\s+\S+\s+\S+\s+(.*)$/.exec(line)?.[1] ?? '')
  return describePackage(file, name, version.replace(/^\d+:/, ''), paths)
}
