/** The certificates of a stage beside what its hosts say: `cert list`. */
import { X509Certificate } from 'node:crypto'
import type { Trust } from '#gen/hive/v1/trust.ts'
import { fingerprintOf, fingerprintsOf, plainSerial } from '../../proto/pem.ts'
import { reportOf } from '../client/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { ErrorReport } from '../events.ts'
import type { Host } from '../inventory/site.ts'
import type { RotationState } from '../pki/authorities.ts'
import type { StagePki } from '../pki/stage-pki.ts'
import { deadline } from './own-certificates.ts'
import { unheard } from './revoke.ts'

export interface ListedCertificate {
  readonly serial: string
  readonly name: string
  readonly role: string
  readonly issued: string
  readonly expires: string
  /** `in use`: a host shows it. `old CA`: of the one that is being exchanged. */
  readonly state: 'in use' | 'valid' | 'old CA' | 'revoked'
  /** Why it was revoked. */
  readonly reason?: string
}

export interface HostTrust {
  readonly host: string
  /** Of the certificate that it shows. */
  readonly serial?: string
  readonly expires?: string
  /** What of the stage's trust it has not heard yet, in words; none: all is as it should be. */
  readonly missing: readonly string[]
  readonly error?: ErrorReport
}

export interface CertificateList {
  readonly ca: { readonly fingerprint: string; readonly subject: string; readonly expires: string; readonly exchange: RotationState | undefined }
  readonly certificates: readonly ListedCertificate[]
  readonly hosts: readonly HostTrust[]
}

/** Asks all hosts that have an agent at once; what does not answer is in the list. Throws HiveError 'not-found' before the stage has a CA. */
export async function listCertificates(hosts: readonly Pick<Host, 'name'>[], agents: SiteAgents, pki: StagePki, signal: AbortSignal): Promise<CertificateList> {
  const ca = new X509Certificate(pki.signingPem)
  const names = hosts.map(({ name }) => name).filter((name) => agents.enrolled(name))
  const asked = await agents.askAll(names, (client) => client.trust.get({}, { signal, deadline }), signal)
  const trusts = [...asked].map(
    ([host, given]): HostTrust => ('error' in given ? { host, missing: [], error: reportOf(given.error, host) } : trustOf(host, given.answer, pki)),
  )
  const shown = new Set(trusts.flatMap(({ serial }) => serial ?? []))
  const revoked = new Map(pki.revoked().map((entry) => [plainSerial(entry.revoked), entry]))
  const signing = fingerprintOf(pki.signingPem)
  const exchanged = pki.authorities.rotation !== undefined
  const listed = pki.everIssued().map(({ serial, name, role, issued, expires, ca: of }): ListedCertificate => {
    const plain = plainSerial(serial)
    const taken = revoked.get(plain)
    const common = { serial: plain, name, role, issued, expires }
    if (taken !== undefined) return { ...common, state: 'revoked', reason: taken.reason }
    if (shown.has(plain)) return { ...common, state: 'in use' }
    return { ...common, state: exchanged && of !== signing ? 'old CA' : 'valid' }
  })
  return {
    ca: {
      fingerprint: signing,
      subject: ca.subject.replaceAll('\n', ', '),
      expires: new Date(ca.validTo).toISOString(),
      exchange: pki.authorities.rotation?.state,
    },
    certificates: listed,
    hosts: trusts,
  }
}

function trustOf(host: string, { caPem, certificatePem, revoked }: Trust, pki: StagePki): HostTrust {
  const certificate = new X509Certificate(certificatePem)
  return {
    host,
    serial: plainSerial(certificate.serialNumber),
    expires: new Date(certificate.validTo).toISOString(),
    missing: [
      ...(fingerprintsOf(caPem) === fingerprintsOf(pki.caPem) ? [] : ['accepts other authorities']),
      ...unheard(pki.revoked(), revoked).map(({ name, role }) => `does not refuse ${name} (${role}) yet`),
      ...(pki.renewalDue(new Date(certificate.validTo)) ? ['its certificate is to be renewed'] : []),
    ],
  }
}
