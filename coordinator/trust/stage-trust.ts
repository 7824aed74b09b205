/** What `hivecoord cert` does with a stage. */
import { X509Certificate } from 'node:crypto'
import { HiveError } from '../../proto/errors.ts'
import { plainSerial } from '../../proto/pem.ts'
import { reportOf } from '../client/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { Emit, ErrorReport } from '../events.ts'
import type { Host, Site } from '../inventory/site.ts'
import type { Phase } from '../phases/phase.ts'
import { setupHosts } from '../phases/setup-hosts.ts'
import type { IssuedCertificate } from '../pki/certificate-index.ts'
import type { StagePki } from '../pki/stage-pki.ts'
import { exclusively } from '../run/exclusive.ts'
import { reissue } from './own-certificates.ts'
import { certificatesNamed, type Told, tellAll } from './revoke.ts'

export interface TrustInput {
  readonly site: Site
  readonly pki: StagePki
  readonly agents: SiteAgents
  readonly emit: Emit
  readonly signal: AbortSignal
}

export interface Revoked extends Told {
  readonly certificates: readonly IssuedCertificate[]
}

export interface RevokeOptions {
  /** A bearer, or the first eight digits of a serial number or more; undefined: only those are told who missed what was revoked before. */
  readonly what: string | undefined
  readonly role?: string | undefined
  readonly reason: string
}

/** Throws HiveError 'not-found', 'invalid-input' as `certificatesNamed` does, 'locked' when another coordinator is at work. */
export async function revokeCertificates({ site, pki, agents, signal }: TrustInput, { what, role, reason }: RevokeOptions): Promise<Revoked> {
  const certificates = what === undefined ? [] : certificatesNamed(pki.everIssued(), pki.revoked(), what, role)
  const named = new Set(certificates.map(({ serial }) => plainSerial(serial)))
  const own = await pki.adminCredentials()
  // Who revokes a certificate of its own goes on with another one.
  if (named.has(plainSerial(new X509Certificate(own.certificatePem).serialNumber))) {
    await pki.renewAdminCredentials()
    agents.renewCredentials()
  }
  return exclusively({ site, agents, purpose: 'cert revoke', signal, now: () => new Date() }, async (_lock, held) => {
    for (const certificate of certificates) pki.revoke(certificate, reason)
    return { certificates, ...(await tellAll(site.hosts, agents, pki, held)) }
  })
}

export interface Renewed {
  /** In their order. */
  readonly renewed: readonly string[]
  readonly unreachable: readonly { readonly host: string; readonly error: ErrorReport }[]
}

/** New certificates for these hosts' agents, or for those for which it is time. Throws the error at which it stopped, 'locked'. */
export async function renewCertificates({ site, pki, agents, emit, signal }: TrustInput, named: readonly Host[] | undefined): Promise<Renewed> {
  const reached = await agents.reachAll(
    (named ?? site.hosts).map(({ name }) => name),
    signal,
  )
  const due = (named ?? site.hosts).filter(({ name }) => {
    const answer = reached.get(name)
    const expires = answer !== undefined && 'info' in answer ? answer.info.certificateExpires : undefined
    return expires !== undefined && (named !== undefined || pki.renewalDue(expires))
  })
  const unreachable = [...reached].flatMap(([host, answer]) => ('error' in answer ? [{ host, error: reportOf(answer.error, host) }] : []))
  if (due.length === 0) return { renewed: [], unreachable }
  return exclusively({ site, agents, purpose: 'cert rotate', signal, now: () => new Date() }, async (_lock, held) => {
    for (const host of due) {
      held.throwIfAborted()
      await reissue(host, await agents.client(host.name), agents, pki, held)
      emit({ code: 'notice', message: `${host.name} has a new certificate` })
    }
    return { renewed: due.map(({ name }) => name), unreachable }
  })
}

const trustSteps = ['agent-trust', 'trust', 'docker-config']
/** Where the agent has its certificate, and where the registry has its copy. */
const certificateFolders = ['/etc/hive-agent/pki', '/etc/docker/registry/tls']

/** Of setup-hosts only what depends on the stage's CA: what hosts trust, and what serves with their certificates. */
export const spreadTrust: Phase = {
  ...(setupHosts as Phase),
  async steps(input) {
    const whole = await (setupHosts as Phase).steps(input)
    const kept = whole.steps.flatMap((step) => {
      const what = step.id.slice(step.id.indexOf('/') + 1, step.id.lastIndexOf('@'))
      const { kind } = step.spec ?? {}
      if (kind?.$case === 'ensureFiles' && what === 'docker-config') {
        const files = kind.value.files.filter(({ path }) => path.startsWith('/etc/docker/certs.d/'))
        return [{ ...step, spec: { kind: { ...kind, value: { ...kind.value, files } } } }]
      }
      const serves = certificateFolders.some((folder) => JSON.stringify(kind ?? null, plain).includes(folder))
      return trustSteps.includes(what) || serves ? [step] : []
    })
    const ids = new Set(kept.map(({ id }) => id))
    return { ...whole, steps: kept.map((step) => ({ ...step, needs: step.needs.filter((need) => ids.has(need)) })), notices: [] }
  },
}

/** Content of files is none of what is looked for. */
const plain = (_key: string, value: unknown): unknown => (typeof value === 'bigint' ? Number(value) : value instanceof Uint8Array ? '' : value)

/** Throws the first of a deploy's errors; and 'unreachable' where hosts were left out that are waited for. */
export function orThrow(result: { readonly errors: readonly ErrorReport[]; readonly unreachable: readonly string[] }, leaveOut: ReadonlySet<string>): void {
  const [error] = result.errors
  if (error !== undefined) {
    const { message, hint, host, stepId, log } = error
    throw new HiveError('command-failed', message, { hint, host, stepId, log })
  }
  const away = result.unreachable.filter((name) => !leaveOut.has(name))
  if (away.length > 0) throw new HiveError('unreachable', `${away.join(', ')} did not answer`, { hint: 'run it again when they answer' })
}
