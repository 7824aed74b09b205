/**
 * A root file system that looks to rpm like EL 8: what its glibc 2.28, libstdc++ of GCC 8 and systemd 239 provide, a shell, and a
 * systemctl that writes down what it is asked. Programs of EL are not in it.
 */
import { existsSync, lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Outcome, outcomeOf, run } from './tools.ts'

/** Versions of symbols that a library of EL 8 has, up to and with the last: GLIBC_2.2.5 … GLIBC_2.28. */
const versions = (prefix: string, numbers: readonly string[]): readonly string[] => numbers.map((number) => `${prefix}_${number}`)
const upTo = (first: number, last: number): readonly string[] => Array.from({ length: last - first + 1 }, (_, index) => String(first + index))

const glibc = versions('GLIBC', ['2.2.5', '2.2.6', '2.3', '2.3.2', '2.3.3', '2.3.4', ...upTo(4, 28).map((minor) => `2.${minor}`)])
const libraries: Readonly<Record<string, readonly string[]>> = {
  'libc.so.6': glibc,
  'libm.so.6': glibc,
  'libdl.so.2': glibc,
  'libpthread.so.0': glibc,
  'ld-linux-x86-64.so.2': glibc,
  'libgcc_s.so.1': versions('GCC', ['3.0', '3.3', '3.3.1', '3.4', '3.4.2', '4.0.0', '4.2.0', '4.3.0', '4.7.0', '4.8.0', '7.0.0']),
  'libstdc++.so.6': [
    ...versions('GLIBCXX', ['3.4', ...upTo(1, 25).map((patch) => `3.4.${patch}`)]),
    ...versions('CXXABI', ['1.3', ...upTo(1, 11).map((patch) => `1.3.${patch}`)]),
  ],
}

const provided = (): readonly string[] => [
  ...Object.entries(libraries).flatMap(([library, symbols]) => [`${library}()(64bit)`, ...symbols.map((symbol) => `${library}(${symbol})(64bit)`)]),
  'rtld(GNU_HASH)',
  'glibc = 2.28',
  'systemd = 239',
  'coreutils = 8.30',
  'grep = 3.1',
]

const applets = ['sh', 'cat', 'grep', 'rm', 'tail', 'ls', 'mkdir', 'touch']

const spec = `Name: el8-like
Version: 8
Release: 1
Summary: what a test needs of EL 8
License: MIT
AutoReqProv: no
${provided()
  .map((name) => `Provides: ${name}`)
  .join('\n')}
%global debug_package %{nil}
%global __os_install_post %{nil}
%description
What a test needs of EL 8.
%files
/*
`

export class ElRoot {
  readonly folder: string

  private constructor(folder: string) {
    this.folder = folder
  }

  static async make(): Promise<ElRoot> {
    const work = mkdtempSync(join(tmpdir(), 'hive-el-'))
    const root = new ElRoot(join(work, 'root'))
    try {
      const built = join(work, 'buildroot')
      const put = (path: string, content: string | Buffer, mode: number): void => {
        mkdirSync(join(built, dirname(path)), { recursive: true })
        writeFileSync(join(built, path), content, { mode })
      }
      put('usr/bin/busybox', readFileSync('/usr/bin/busybox'), 0o755)
      mkdirSync(join(built, 'bin'))
      for (const applet of applets) symlinkSync('/usr/bin/busybox', join(built, 'bin', applet))
      put('usr/bin/systemctl', '#!/bin/sh\necho "systemctl $*" >> /asked\n', 0o755)
      put('usr/sbin/restorecon', '#!/bin/sh\necho "restorecon $*" >> /asked\n', 0o755)
      writeFileSync(join(work, 'el8-like.spec'), spec)
      const definitions = ['--define', `_topdir ${work}`, '--define', `_rpmdir ${work}`, '--buildroot', built]
      await run(['rpmbuild', '-bb', '--quiet', ...definitions, join(work, 'el8-like.spec')])
      mkdirSync(join(root.folder, 'run/systemd/system'), { recursive: true })
      root.write('proc/self/cgroup', '0::/user.slice\n')
      root.write('dev/null', '')
      const [made] = readdirSync(join(work, 'x86_64')).map((name) => join(work, 'x86_64', name))
      const { code, err } = await root.rpm('-i', made ?? '')
      if (code !== 0) throw new Error(err)
    } catch (error) {
      rmSync(work, { recursive: true, force: true })
      throw error
    }
    return root
  }

  rpm(...args: readonly string[]): Promise<Outcome> {
    return outcomeOf(['rpm', '--root', this.folder, '--dbpath', '/var/lib/rpm', ...args])
  }

  /** What systemctl and restorecon were asked since the last time. */
  asked(): readonly string[] {
    const file = join(this.folder, 'asked')
    if (!existsSync(file)) return []
    const lines = readFileSync(file, 'utf8').trim().split('\n')
    rmSync(file)
    return lines
  }

  path(name: string): string {
    return join(this.folder, name)
  }

  write(name: string, content: string): void {
    mkdirSync(dirname(this.path(name)), { recursive: true })
    writeFileSync(this.path(name), content)
  }

  read(name: string): string {
    return readFileSync(this.path(name), 'utf8')
  }

  /** All files in it but rpm's database. */
  paths(): readonly string[] {
    return readdirSync(this.folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => !path.startsWith('var/lib/rpm/') && !lstatSync(this.path(path)).isDirectory())
      .sort()
  }

  remove(): void {
    rmSync(dirname(this.folder), { recursive: true, force: true })
  }
}
