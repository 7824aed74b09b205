/** `hivecoord cert`: who has a certificate of the stage, and giving, renewing and taking them. */
import { resolve } from 'node:path'
import { type Command, Option } from 'commander'
import pc from 'picocolors'
import type { CertificateList } from '../../coordinator/index.ts'
import { refuseTaken, writeHandOver } from '../../coordinator/trust/hand-over.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { leftOutExitCode } from '../exit-codes.ts'
import { columns, count, shortHost } from '../render/format.ts'
import { findHost } from './find-host.ts'
import { positive } from './numbers.ts'

const kinds = ['reader', 'operator', 'admin'] as const
type Kind = (typeof kinds)[number]

const listOf = (text: string): readonly string[] =>
  text
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '')

export function registerCert(program: Command, app: () => App): void {
  const cert = program.command('cert').description("the stage's certificates: who has one, and giving, renewing and taking them")
  registerList(cert, app)
  registerIssue(cert, app)
  registerRevoke(cert, app)
  registerRotate(cert, app)
}

function registerList(cert: Command, app: () => App): void {
  cert
    .command('list')
    .description('show the CA, all valid and revoked certificates, and what each host has not heard of yet')
    .action(async () => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const list = await stage.listCertificates(signal)
      renderer.result(list, linesOf(list).join('\n'))
    })
}

function linesOf({ ca, certificates, hosts }: CertificateList): readonly string[] {
  const exchange =
    ca.exchange === undefined || ca.exchange === 'done' ? '' : pc.yellow(`  being exchanged (${ca.exchange}): hivecoord cert rotate --ca goes on`)
  const rows = certificates.map(({ serial, name, role, expires, state, reason }) => [
    serial.slice(0, 16),
    name,
    role,
    `until ${expires.slice(0, 10)}`,
    state === 'revoked' ? pc.red(`revoked${reason === undefined || reason === '' ? '' : `: ${reason}`}`) : state === 'old CA' ? pc.yellow(state) : state,
  ])
  const doubts = hosts.flatMap(({ host, missing, error }) =>
    error === undefined ? missing.map((what) => pc.yellow(`${shortHost(host)} ${what}`)) : [pc.red(`${shortHost(host)}: ${error.message}`)],
  )
  return [`CA ${ca.fingerprint.slice(0, 16)}  ${ca.subject}  until ${ca.expires.slice(0, 10)}${exchange}`, columns(rows), ...doubts]
}

function registerIssue(cert: Command, app: () => App): void {
  cert
    .command('issue')
    .description('a client certificate for somebody who works with the stage, as a context folder of their own')
    .argument('<name>', 'USER@MACHINE of its bearer, as the audit log shows it')
    .addOption(new Option('--role <role>', 'what it allows').choices(kinds).makeOptionMandatory())
    .option('--days <n>', 'how long it is valid', positive, 365)
    .option('--to <folder>', 'default: the name')
    .action(async (name: string, options: { role: Kind; days: number; to?: string }) => {
      const { open, renderer } = app()
      if (!/^[\w@-][\w.@-]{0,63}$/.test(name))
        throw new HiveError('invalid-input', `"${name}" is no name for a certificate`, { hint: 'letters, digits, and . _ - @, at most 64' })
      const stage = await open()
      const folder = resolve(options.to ?? name)
      refuseTaken(folder)
      if (!stage.pki.exists) throw new HiveError('not-found', 'the stage has no CA yet', { hint: '`hivecoord build-infra` makes it' })
      const made = await stage.pki.issueClient({ name, role: `hive:${options.role}`, days: options.days })
      writeHandOver(folder, stage.pki, name, made)
      renderer.result(
        { name, role: `hive:${options.role}`, days: options.days, folder },
        `${folder}: a certificate of ${name} (hive:${options.role}), ${count(options.days, 'day')}. It is a context folder for ${name}: hand it over safely, and keep no copy`,
      )
    })
}

function registerRevoke(cert: Command, app: () => App): void {
  cert
    .command('revoke')
    .description('have all hosts refuse the certificates of a bearer (an operator or a host), or one by its serial number')
    .argument('[name]', 'default: none; hosts that missed what was revoked before are told')
    .addOption(new Option('--role <role>', 'only those of this role').choices([...kinds, 'agent']))
    .option('--reason <text>', 'why, for those who are refused')
    .action(async (name: string | undefined, options: { role?: string; reason?: string }) => {
      const { open, renderer, signal } = app()
      const stage = await open()
      const host = stage.site.hosts.find(({ name: full, shortName }) => name === full || name === shortName)
      const { role, reason = '' } = options
      const result = await stage.revokeCertificates({ what: host?.name ?? name, role: role === undefined ? undefined : `hive:${role}`, reason }, signal)
      const { certificates, hosts, missing } = result
      const away = missing.map(({ host: which }) => shortHost(which)).join(', ')
      renderer.result(
        result,
        [
          ...certificates.map(({ serial, name: bearer, role: has }) => `revoked: ${bearer} (${has}), ${serial.slice(0, 16)}`),
          `${count(hosts.length, 'host')} refuse${hosts.length === 1 ? 's' : ''} all that is revoked`,
          ...(missing.length === 0 ? [] : [pc.yellow(`${away} did not hear of it: the next deploy tells them, or hivecoord cert revoke`)]),
          ...(certificates.some(({ role: has }) => has === 'hive:agent') ? ['a host without a valid certificate gets one by ssh with the next deploy'] : []),
        ].join('\n'),
      )
      if (missing.length > 0) process.exitCode = leftOutExitCode
    })
}

interface RotateGiven {
  readonly ca?: boolean
  readonly leaveOut?: readonly string[]
  readonly leaveBehind?: readonly string[]
  readonly again?: boolean
}

function registerRotate(cert: Command, app: () => App): void {
  cert
    .command('rotate')
    .description("give agents new keys and certificates, without a restart; with --ca exchange the stage's CA")
    .argument('[hosts...]', 'default: those whose certificate has less than a third of its life left')
    .option('--ca', 'exchange the CA, or go on with it: accept both, reissue, drop the old one, each seen on every host')
    .option('--leave-out <hosts>', 'with --ca: do not wait for these hosts; they get a certificate by ssh later', listOf)
    .option('--leave-behind <names>', 'with --ca: bearers whose certificates may stop working', listOf)
    .option('--again', 'with --ca: also where it was done less than a day ago')
    .action(async (names: readonly string[], given: RotateGiven) => {
      if (given.ca === true && names.length > 0)
        throw new HiveError('invalid-input', 'the CA is exchanged for all hosts', { hint: '--leave-out names those that are not waited for' })
      await (given.ca === true ? exchange(app(), given) : renew(app(), names))
    })
}

async function exchange({ open, renderer, signal }: App, { leaveOut = [], leaveBehind = [], again = false }: RotateGiven): Promise<void> {
  const stage = await open({ writes: true })
  const out = new Set(leaveOut.map((name) => findHost(stage.site, name).name))
  const result = await stage.rotateCa({ leaveOut: out, leaveBehind: new Set(leaveBehind), again }, signal)
  renderer.result(
    result,
    result.steps.length === 0
      ? `nothing to do: the CA was exchanged at ${result.finished ?? '?'}; --again exchanges it once more`
      : `the CA is exchanged: ${result.ca.slice(0, 16)}. Images and services that contain it get it with the next deploy`,
  )
}

async function renew({ open, renderer, signal }: App, names: readonly string[]): Promise<void> {
  const stage = await open()
  const chosen = new Set(names.map((name) => findHost(stage.site, name).name))
  const result = await stage.renewCertificates(names.length === 0 ? undefined : stage.site.hosts.filter(({ name }) => chosen.has(name)), signal)
  const { renewed, unreachable } = result
  const away = unreachable.map(({ host }) => shortHost(host)).join(', ')
  renderer.result(
    result,
    [
      renewed.length === 0 ? 'nothing to renew' : `renewed: ${renewed.map(shortHost).join(', ')}`,
      ...(unreachable.length === 0 ? [] : [pc.yellow(`${away} did not answer`)]),
    ].join('\n'),
  )
  if (unreachable.length > 0) process.exitCode = leftOutExitCode
}
