/** One command on a host over the system's OpenSSH, before there is an agent: keys recorded on first contact, errors that say what to do. */
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { HiveError } from '../../proto/errors.ts'
import { outsideStageNetwork } from '../client/stage-network.ts'
import { type CommandResult, run } from '../providers/command.ts'
import type { SshTarget } from '../providers/provider.ts'
import { readTextIfPresent, writeFileAtomic } from '../run/atomic-file.ts'

export interface SshOptions {
  readonly contextDir: string
  readonly input?: string | Uint8Array | undefined
  /** Milliseconds for the command once ssh started. Default 60 000. */
  readonly timeout?: number | undefined
  /** Milliseconds during which a host that does not answer yet is tried again. Default 0. */
  readonly patience?: number | undefined
  /** false: a host key that is not known yet is taken this once and not recorded. Default true. */
  readonly records?: boolean | undefined
  readonly signal: AbortSignal
  /** Called with each line that the script says, as it comes. */
  readonly onLine?: ((line: string) => void) | undefined
}

/** ssh's own exit code when it could not log in; the command's else. */
const sshFailed = 255

export const knownHostsOf = (contextDir: string): string => join(contextDir, 'known_hosts')

/** One argument for a POSIX shell. */
export const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`

/** Where the hosts' addresses exist only in the stage's network and this process is not in it yet, ssh is started inside. */
function inStageNetwork(contextDir: string): readonly string[] {
  const name = readTextIfPresent(join(contextDir, 'netns'))?.trim()
  if (name === undefined || name === '' || outsideStageNetwork(contextDir, '') === undefined) return []
  return [`--net=/run/netns/${name}`, '--']
}

/**
 * Runs a shell script on the host as root (by sudo where the user is another). Exit codes other than 0 throw
 * 'command-failed'; no answer 'unreachable'; a refused log-in 'denied'; a
 * host key other than the recorded one 'conflict'.
 */
export async function onHost(target: SshTarget, script: string, options: SshOptions): Promise<CommandResult> {
  const asRoot = target.user === 'root' ? `sh -c ${quoted(script)}` : `sudo -n sh -c ${quoted(script)}`
  const ssh = ['ssh', ...sshArguments(target, options.contextDir, options.records ?? true), asRoot] as const
  const inside = inStageNetwork(options.contextDir)
  const argv: readonly [string, ...string[]] = inside.length === 0 ? ssh : ['nsenter', ...inside, ...ssh]
  const timeout = options.timeout ?? 60_000
  const end = performance.now() + (options.patience ?? 0)
  for (;;) {
    const result = await run(argv, {
      input: options.input ?? '',
      timeout,
      signal: options.signal,
      onLine: options.onLine,
      okCodes: Array.from({ length: 256 }, (_, code) => code),
      ...(target.password === undefined ? {} : { env: askPass(options.contextDir, target.password) }),
    }).catch((error: unknown) => {
      // Without the script, which may be long.
      if (!(error instanceof HiveError) || error.code !== 'timeout') throw error
      throw new HiveError('timeout', `${place(target)}: a command over ssh took longer than ${timeout / 1000} s`, { host: target.host, log: error.log })
    })
    if (result.code === 0) return result
    if (result.code !== sshFailed) throw commandFailed(target, result)
    const error = whyNoLogin(target, options.contextDir, result.stderr)
    if (error.code !== 'unreachable' || performance.now() > end) throw error
    await wait(300, undefined, { signal: options.signal })
  }
}

/**
 * OpenSSH's first choice protects what is said from who keeps it for the computers of a later day. It takes six times the processor time of all
 * the rest of a log-in, a tenth of a second, which is for nothing where the host is on this machine.
 */
export const keyExchangeNearby = '^curve25519-sha256'

/** Options and log-in for ssh. Exported for tests. */
export function sshArguments({ address, port, user, identityFile, password, sameMachine }: SshTarget, contextDir: string, records: boolean): readonly string[] {
  const options = {
    StrictHostKeyChecking: 'accept-new',
    // New keys go to the first file, known ones are looked up in all.
    UserKnownHostsFile: `${records ? '' : '/dev/null '}"${knownHostsOf(contextDir)}"`,
    ConnectTimeout: '10',
    ServerAliveInterval: '10',
    ServerAliveCountMax: '3',
    LogLevel: 'ERROR',
    ...(sameMachine === true ? { KexAlgorithms: keyExchangeNearby } : {}),
    ...(password === undefined
      ? { BatchMode: 'yes', IdentitiesOnly: 'yes', IdentityFile: `"${identityFile}"` }
      : { PubkeyAuthentication: 'no', PreferredAuthentications: 'password,keyboard-interactive', NumberOfPasswordPrompts: '1' }),
  }
  return ['-T', '-p', String(port), ...Object.entries(options).flatMap(([key, value]) => ['-o', `${key}=${value}`]), `${user}@${address}`]
}

/** ssh asks a program for the password; the password travels in that program's environment, not in an argument or a file. */
function askPass(contextDir: string, password: string): Readonly<Record<string, string>> {
  const program = join(contextDir, 'askpass')
  writeFileAtomic(program, '#!/bin/sh\nprintf "%s\\n" "$HIVE_SSH_PASSWORD"\n', 0o700)
  return { SSH_ASKPASS: program, SSH_ASKPASS_REQUIRE: 'force', DISPLAY: ':0', HIVE_SSH_PASSWORD: password }
}

const place = ({ host, address, port, user }: SshTarget): string => `${host} (${user}@${address}:${port})`
const last = (text: string): string[] => text.trim().split(/\r?\n/).slice(-8)

function commandFailed(target: SshTarget, { code, stderr, stdout }: CommandResult): HiveError {
  const text = stderr.trim() === '' ? stdout : stderr
  const sudo = /sudo: .*(?:password|not found|sudoers)/i.test(text)
  return new HiveError('command-failed', `${place(target)}: exit code ${code}: ${last(text).at(-1) ?? ''}`, {
    host: target.host,
    hint: sudo ? `${target.user} needs sudo without a password on the host` : undefined,
    log: last(text),
  })
}

/** What ssh said, as a typed error. Exported for tests. */
export function whyNoLogin(target: SshTarget, contextDir: string, stderr: string): HiveError {
  const details = (hint: string) => ({ host: target.host, hint, log: last(stderr) })
  const said = last(stderr).at(-1) ?? 'nothing'
  if (/IDENTIFICATION HAS CHANGED|Host key verification failed/i.test(stderr)) {
    const hint = `if the host was made anew: hivecoord deploy --replace ${target.host.split('.')[0]}; else somebody is in between (the old key is in ${knownHostsOf(contextDir)})`
    return new HiveError('conflict', `${place(target)} shows another host key than before`, details(hint))
  }
  if (/Permission denied|Too many authentication failures/i.test(stderr)) {
    const hint =
      target.password === undefined
        ? `put ${target.identityFile}.pub into ~${target.user}/.ssh/authorized_keys on the host, or set hive_root_password for the first log-in`
        : 'check root_password, and that the host allows root to log in with a password'
    return new HiveError('denied', `${place(target)} refuses the log-in: ${said}`, details(hint))
  }
  return new HiveError(
    'unreachable',
    `${place(target)} does not answer ssh: ${said}`,
    details('is the host on, is the address right, does a firewall let port ssh through?'),
  )
}
