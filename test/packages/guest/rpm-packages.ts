/** For programs in a root with dnf: packages made there, repositories of them, and steps carried out as the agent does. */
import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readOnly, writable } from '../../../agent/adapters/gate.ts'
import type { CheckOutcome, Executor, StepContext } from '../../../agent/steps/executor.ts'
import { HiveError } from '../../../proto/errors.ts'

export const sh = (...argv: readonly [string, ...string[]]): string =>
  execFileSync(argv[0], argv.slice(1), { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })

export interface Package {
  readonly name: string
  readonly version?: string
  /** Further lines of its description: Provides, Requires, Recommends. */
  readonly tags?: readonly string[]
  /** Files that it has, empty. */
  readonly files?: readonly string[]
  /** Programs that it has: path → text. */
  readonly programs?: Readonly<Record<string, string>>
}

export const named = (...names: readonly string[]): readonly Package[] => names.map((name) => ({ name }))

export const rpms = '/root/rpmbuild/RPMS/noarch'

/** A key to sign packages with, once in a root. */
export const makeKey = (): string => sh('gpg', '--batch', '--quiet', '--passphrase', '', '--quick-gen-key', 'hive', 'rsa2048', 'sign', 'never')

/** Builds it and answers its file. */
export function build({ name, version = '1.0', tags = [], files = [], programs = {} }: Package, signed = true): string {
  const spec = `/tmp/${name}.spec`
  const all: readonly (readonly [string, string])[] = [...files.map((file) => [file, ''] as const), ...Object.entries(programs)]
  const put = all.flatMap(([file, text]) => [`mkdir -p %{buildroot}${dirname(file)}`, `cat > %{buildroot}${file} <<'END'`, text, 'END'])
  const lines = [
    `Name: ${name}`,
    `Version: ${version}`,
    'Release: 1',
    'Summary: empty',
    'License: none',
    'BuildArch: noarch',
    ...tags,
    '%description',
    ...(put.length === 0 ? [] : ['%install', ...put]),
    '%files',
    ...files,
    ...Object.keys(programs).map((file) => `%attr(755,root,root) ${file}`),
  ]
  writeFileSync(spec, `${lines.join('\n')}\n`)
  sh('rpmbuild', '-bb', '--quiet', spec)
  const file = join(rpms, `${name}-${version}-1.noarch.rpm`)
  if (signed) sh('rpmsign', '--addsign', '--define', '_gpg_name hive', '--define', '__gpg /usr/bin/gpg', file)
  return file
}

/** `key`: where the repository has the public key of its packages. */
export function repository(folder: string, key: string, content: readonly Package[], signed = true): void {
  mkdirSync(folder, { recursive: true })
  for (const one of content) cpSync(build(one, signed), join(folder, `${one.name}-${one.version ?? '1.0'}.rpm`))
  sh('createrepo_c', '--quiet', folder)
  writeFileSync(key, sh('gpg', '--armor', '--export', 'hive'))
}

export const context: StepContext = {
  signal: AbortSignal.timeout(240_000),
  hostName: 'here',
  log: () => undefined,
  progress: () => undefined,
  blobPath: () => Promise.reject(new Error('there are no blobs')),
}

export const check = <S>(executor: Executor<S>, spec: S): Promise<CheckOutcome> => readOnly(() => executor.check(spec, context))
export const apply = <S>(executor: Executor<S>, spec: S): Promise<void> => writable(() => executor.apply(spec, context))

export interface Refusal {
  readonly code: string
  readonly message: string
}

/** undefined where it was not refused. */
export const refusalOf = (work: Promise<unknown>): Promise<Refusal | undefined> =>
  work.then(
    () => undefined,
    (thrown: unknown) => (thrown instanceof HiveError ? { code: thrown.code, message: thrown.message } : { code: 'other', message: String(thrown) }),
  )

/** Names of installed packages, sorted. */
export const installed = (): readonly string[] => sh('rpm', '-qa', '--qf', '%{NAME}\n').trim().split('\n').sort()
