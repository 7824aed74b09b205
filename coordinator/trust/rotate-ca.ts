/**
 * The CA of a stage is exchanged without a moment in which two hosts don't trust each other:
 *
 * - A new CA is made. Nothing knows of it yet.
 * - Every host accepts both. Seen: each says so, and answers a caller whose certificate is of the new one.
 * - Docker and the system's trusted certificates on the hosts get both (`spread`).
 * - The new one signs from now on, and this admin box has a certificate of it.
 * - Every host gets a certificate of the new one, one after the other. Seen: each shows it to a connection made anew.
 * - What serves with it, such as the registry, takes it (`spread`).
 * - Nobody else still needs the old one: operators with a certificate of it are named, and it ends here unless they are left behind.
 * - Every host accepts the new one alone. Seen: each says so, answers a caller of the new one, and none of the old one.
 * - Docker and the system forget the old one (`spread`), and its key is destroyed.
 *
 * How far it is stands in the context folder (authorities.ts) and on the hosts; killed anywhere, the same again goes on. A host that does not
 * answer ends it before the next step: `leaveOut` goes on without it, and build-infra brings it back by ssh.
 */
import { X509Certificate } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { fingerprintOf, fingerprintsOf, signedByOneOf } from '../../proto/pem.ts'
import type { AgentClient } from '../client/agent-client.ts'
import { isUnreachable } from '../client/errors.ts'
import { answering, type SiteAgents } from '../client/site-agents.ts'
import type { Emit } from '../events.ts'
import type { Host } from '../inventory/site.ts'
import type { AuthorityPair } from '../pki/authorities.ts'
import type { IssuedCertificate } from '../pki/certificate-index.ts'
import type { Credentials, StagePki } from '../pki/stage-pki.ts'
import { deadline, reissue } from './own-certificates.ts'

export interface RotateInput {
  readonly hosts: readonly Host[]
  readonly pki: StagePki
  readonly agents: SiteAgents
  /** Names of hosts that are not waited for. */
  readonly leaveOut: ReadonlySet<string>
  /** Names of bearers whose certificates may stop working. */
  readonly leaveBehind: ReadonlySet<string>
  /** A connection of its own with other credentials than the stage's. */
  readonly connect: (host: string, credentials: Credentials) => Promise<AgentClient>
  /** Work that nobody else may do meanwhile. */
  readonly alone: <T>(work: (signal: AbortSignal) => Promise<T>) => Promise<T>
  /** Brings the hosts' own trust, and what serves with their certificates, to what the context folder says. */
  readonly spread: () => Promise<void>
  readonly emit: Emit
  readonly now: () => Date
  /** A CA that was exchanged less than a day ago is exchanged again. */
  readonly again: boolean
}

export interface Rotated {
  /** What was done now; none: nothing was to be done. */
  readonly steps: readonly string[]
  /** Fingerprint of the CA that signs. */
  readonly ca: string
  readonly finished: string | undefined
}

/** Milliseconds in which a second run is taken for a repetition of the first. */
const settled = 24 * 3_600_000

/** Throws HiveError: 'unreachable' where hosts don't answer, 'blocked' where operators need a new certificate first, 'not-converged' where a look finds it otherwise. */
export async function rotateAuthority(input: RotateInput): Promise<Rotated> {
  const { pki, now, again, spread, alone, agents } = input
  const { authorities } = pki
  const steps: string[] = []
  const did = (what: string): void => {
    steps.push(what)
    input.emit({ code: 'notice', message: what })
  }
  const end = (): Rotated => ({ steps, ca: fingerprintOf(pki.signingPem), finished: authorities.rotation?.finished })
  if (authorities.signingKey === undefined)
    throw new HiveError('not-found', `the CA's key is not in ${authorities.folder}`, { hint: 'the CA is exchanged where cakey.pem is' })
  const before = authorities.rotation
  if (before?.state === 'done' && !again && now().getTime() - Date.parse(before.finished ?? before.begun) < settled) return end()
  if (before === undefined || before.state === 'done') {
    authorities.begin(await pki.nextCa(), now())
    did('a new CA is made')
  }
  if (authorities.rotation?.state === 'accepting') {
    await alone((signal) => everywhere(input, signal, (host) => accept(input, host, signal)))
    did('all hosts accept both')
    await spread()
    await alone(async () => authorities.switch())
    agents.renewCredentials()
    did('the new CA signs')
  }
  if (authorities.rotation?.state === 'reissuing') {
    let count = 0
    await alone((signal) =>
      everywhere(input, signal, async (host) => {
        if (await reissueOn(input, host, signal)) count += 1
      }),
    )
    if (count > 0) did(`${count} of ${input.hosts.length} hosts got a certificate of the new CA`)
    await spread()
    refuseToStrand(input)
    await alone(async () => authorities.drop())
  }
  if (authorities.rotation?.state === 'dropping') {
    await alone((signal) => everywhere(input, signal, (host) => dropOn(input, host, signal)))
    did('all hosts accept the new CA alone')
    await spread()
    for (const name of input.leaveOut) pki.forgetHost(name)
    authorities.finish(now())
    did("the old CA's key is destroyed")
  }
  return end()
}

/** One host after the other. All that don't answer are named in one error; whatever else goes wrong ends it at once. */
async function everywhere(input: RotateInput, signal: AbortSignal, work: (host: Host) => Promise<void>): Promise<void> {
  const silent: HiveError[] = []
  for (const host of waitedFor(input)) {
    signal.throwIfAborted()
    try {
      await work(host)
    } catch (error) {
      if (!isUnreachable(error)) throw error
      silent.push(error as HiveError)
    }
  }
  const [first] = silent
  if (first === undefined) return
  const names = silent.map(({ host, message }) => host ?? message).join(', ')
  throw new HiveError('unreachable', `${names} did not answer: the exchange of the CA stops here, and nothing is cut off`, {
    hint: 'run it again when they answer; or go on without them: --leave-out HOSTS, which get a certificate by ssh with the next deploy',
    cause: first,
  })
}

const waitedFor = ({ hosts, agents, leaveOut }: RotateInput): readonly Host[] => hosts.filter(({ name }) => agents.enrolled(name) && !leaveOut.has(name))

async function accept(input: RotateInput, { name }: Host, signal: AbortSignal): Promise<void> {
  const { pki, agents } = input
  const client = await answering(agents, name, signal)
  await acceptExactly(client, pki.caPem, signal)
  const { other } = pki.authorities
  if (other !== undefined && !(await isAccepted(input, name, other, signal)))
    throw new HiveError('not-converged', `${name} does not answer a certificate of the new CA`, { host: name, hint: 'run it again' })
}

/** Answers whether it was to be done. */
async function reissueOn({ pki, agents }: RotateInput, host: Host, signal: AbortSignal): Promise<boolean> {
  const client = await answering(agents, host.name, signal)
  const { certificatePem } = await client.trust.get({}, { signal, deadline })
  if (signedByOneOf(new X509Certificate(certificatePem), [new X509Certificate(pki.signingPem)])) return false
  await reissue(host, client, agents, pki, signal)
  return true
}

async function dropOn(input: RotateInput, { name }: Host, signal: AbortSignal): Promise<void> {
  const { pki, agents } = input
  const client = await answering(agents, name, signal)
  await acceptExactly(client, pki.signingPem, signal)
  const { other } = pki.authorities
  if (other !== undefined && (await isAccepted(input, name, other, signal)))
    throw new HiveError('not-converged', `${name} still answers a certificate of the old CA`, { host: name, hint: 'run it again' })
  const fresh = await agents.anew(name)
  try {
    await fresh.connect(deadline, signal)
  } finally {
    fresh.close()
  }
}

async function acceptExactly(client: AgentClient, caPem: string, signal: AbortSignal): Promise<void> {
  const options = { signal, deadline }
  const wanted = fingerprintsOf(caPem)
  if (fingerprintsOf((await client.trust.get({}, options)).caPem) === wanted) return
  await client.trust.setAuthorities({ caPem }, options)
  if (fingerprintsOf((await client.trust.get({}, options)).caPem) !== wanted)
    throw new HiveError('not-converged', `${client.host} does not accept what it was told to`, { host: client.host })
}

/** Whether the host answers a certificate of this authority. */
async function isAccepted({ pki, connect }: RotateInput, host: string, authority: AuthorityPair, signal: AbortSignal): Promise<boolean> {
  const client = await connect(host, await pki.probe(authority, [pki.signingPem, authority.certificatePem].join('')))
  try {
    await client.connect(deadline, signal)
    return true
  } catch (error) {
    if (error instanceof HiveError && ['unreachable', 'denied'].includes(error.code)) return false
    throw error
  } finally {
    client.close()
  }
}

/**
 * Bearers of valid certificates of the old CA that have none of the new one: operators. This admin box and those whose credentials lie in the
 * context folder get theirs by themselves. Pure.
 */
export function stranded(
  issued: readonly IssuedCertificate[],
  to: string,
  now: Date,
  renewsItself: (name: string) => boolean,
): readonly { readonly name: string; readonly role: string }[] {
  const of = ({ name, role }: { readonly name: string; readonly role: string }): string => `${role} ${name}`
  const valid = issued.filter(({ expires, role }) => role !== 'hive:agent' && Date.parse(expires) > now.getTime())
  const served = new Set(valid.filter(({ ca }) => ca === to).map(of))
  const left = valid.filter((entry) => entry.ca !== to && !served.has(of(entry)) && !renewsItself(entry.name))
  return [...new Map(left.map(({ name, role }) => [of({ name, role }), { name, role }])).values()]
}

function refuseToStrand({ pki, leaveBehind, now }: RotateInput): void {
  const { contextDir, identity } = pki
  const renewsItself = (name: string): boolean => name === identity || (!name.includes('/') && existsSync(join(contextDir, 'pki', name, 'key.pem')))
  const left = stranded(pki.issued(), fingerprintOf(pki.signingPem), now(), renewsItself).filter(({ name }) => !leaveBehind.has(name))
  if (left.length === 0) return
  throw new HiveError('blocked', `certificates of the old CA are still in use by ${left.map(({ name, role }) => `${name} (${role})`).join(', ')}`, {
    hint: `issue them anew with \`hivecoord cert issue\`, and run this again; or let them end: --leave-behind ${left.map(({ name }) => name).join(',')}`,
  })
}
