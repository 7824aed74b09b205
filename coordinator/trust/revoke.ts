/** Certificates that nobody shall accept any more: recorded with the stage, told to all agents, and looked at afterwards. */
import type { RevokedCertificate } from '#gen/hive/v1/trust.ts'
import { HiveError } from '../../proto/errors.ts'
import { plainSerial } from '../../proto/pem.ts'
import { reportOf } from '../client/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { ErrorReport } from '../events.ts'
import type { Host } from '../inventory/site.ts'
import type { IssuedCertificate, Revocation } from '../pki/certificate-index.ts'
import type { StagePki } from '../pki/stage-pki.ts'
import { onWire } from '../pki/wire.ts'
import { deadline } from './own-certificates.ts'

export interface Told {
  /** Hosts that refuse them all now. */
  readonly hosts: readonly string[]
  /** Those that could not be told: the next deploy does. */
  readonly missing: readonly { readonly host: string; readonly error: ErrorReport }[]
}

/**
 * The certificates that a bearer or a serial names, of those that have not expired and are not revoked. Throws HiveError 'not-found' where there
 * is none, 'invalid-input' where a name has several roles and none is chosen.
 */
export function certificatesNamed(
  issued: readonly IssuedCertificate[],
  revoked: readonly Revocation[],
  what: string,
  role?: string,
): readonly IssuedCertificate[] {
  const gone = new Set(revoked.map(({ revoked: serial }) => plainSerial(serial)))
  const standing = issued.filter(({ serial }) => !gone.has(plainSerial(serial)))
  const found = standing.filter((entry) => (role === undefined || entry.role === role) && (entry.name === what || isSerial(entry, what)))
  if (found.length === 0)
    throw new HiveError('not-found', `no certificate of ${what}${role === undefined ? '' : ` with the role ${role}`} is valid`, {
      hint: '`hivecoord cert list` has them',
    })
  const kinds = [...new Set(found.map((entry) => entry.role))]
  if (kinds.length > 1)
    throw new HiveError('invalid-input', `${what} has certificates of several roles: ${kinds.join(', ')}`, {
      hint: 'choose one with --role, or a serial number',
    })
  return found
}

/** Eight digits are enough where they are typed. */
const isSerial = ({ serial }: IssuedCertificate, what: string): boolean =>
  /^[0-9a-f:]{8,}$/i.test(what) && plainSerial(serial).startsWith(plainSerial(what)) && plainSerial(what).length >= 8

/** Those of the stage's revocations that are not among what a host refuses. */
export function unheard(revocations: readonly Revocation[], refused: readonly Pick<RevokedCertificate, 'serial'>[]): readonly Revocation[] {
  const known = new Set(refused.map(({ serial }) => plainSerial(serial)))
  return revocations.filter(({ revoked }) => !known.has(plainSerial(revoked)))
}

/** All that was revoked goes to all hosts that have an agent, and is read back. Never rejects but for `signal`. */
export async function tellAll(hosts: readonly Pick<Host, 'name'>[], agents: SiteAgents, pki: StagePki, signal: AbortSignal): Promise<Told> {
  const revocations = pki.revoked()
  const enrolled = hosts.map(({ name }) => name).filter((name) => agents.enrolled(name))
  const asked = await agents.askAll(
    enrolled,
    async (client) => {
      if (revocations.length > 0) await client.trust.refuse({ revoked: revocations.map(onWire) }, { signal, deadline })
      const { revoked } = await client.trust.get({}, { signal, deadline })
      const left = unheard(revocations, revoked)
      if (left.length > 0)
        throw new HiveError('not-converged', `${client.host} does not refuse ${left.map(({ name }) => name).join(', ')}`, { host: client.host })
    },
    signal,
  )
  const answers = [...asked]
  return {
    hosts: answers.flatMap(([host, given]) => ('error' in given ? [] : [host])),
    missing: answers.flatMap(([host, given]) => ('error' in given ? [{ host, error: reportOf(given.error, host) }] : [])),
  }
}
