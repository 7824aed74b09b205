/** Whom this agent trusts, and who did what here. */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { AuditServiceService, type Trust, TrustServiceService } from '#gen/hive/v1/trust.ts'
import { HiveError } from '../../proto/errors.ts'
import { plainSerial } from '../../proto/pem.ts'
import type { AuditLog } from './audit-log.ts'
import { setAuthorities } from './pki.ts'
import { lives, readRevoked, refuse } from './revocations.ts'
import { type ServiceRegistration, service } from './service.ts'

/** Entries that are told at most, and where the caller names no number. */
const mostEntries = 100_000
const usualEntries = 1000

export interface TrustOptions {
  readonly pkiDir: string
  /** What was written comes into effect. */
  readonly reload: () => Promise<void>
  readonly now: () => Date
}

export function trustService({ pkiDir, reload, now }: TrustOptions): ServiceRegistration {
  const trust = async (): Promise<Trust> => {
    const read = (name: string): Promise<string> => readFile(join(pkiDir, name), 'utf8')
    const [caPem, certificatePem, revoked] = await Promise.all([read('ca.pem'), read('cert.pem'), readRevoked(pkiDir)])
    return { caPem, certificatePem, revoked: revoked.filter((entry) => lives(entry, now())) }
  }
  return service(TrustServiceService, {
    get: trust,
    setAuthorities: async ({ caPem }, { caller }) => {
      await setAuthorities(pkiDir, caPem, caller.certificate)
      await reload()
      return await trust()
    },
    refuse: async ({ revoked }, { caller }) => {
      const own = caller.certificate === undefined ? '' : plainSerial(new X509Certificate(caller.certificate).serialNumber)
      if (revoked.some(({ serial }) => plainSerial(serial) === own))
        throw new HiveError('blocked', `${caller.name} asks to refuse its own certificate`, { hint: 'ask with another one: hivecoord cert rotate makes it' })
      await refuse(pkiDir, revoked, now())
      await reload()
      return await trust()
    },
  })
}

export const auditService = (log: AuditLog): ServiceRegistration =>
  service(AuditServiceService, {
    async *read({ since, by, limit, failedOnly }) {
      for (const record of await log.read({ since, by, failedOnly, limit: Math.min(limit === 0 ? usualEntries : limit, mostEntries) }))
        yield {
          at: new Date(record.at),
          caller: record.caller,
          role: record.role,
          peer: record.peer,
          rpc: record.rpc,
          request: record.request === undefined ? '' : JSON.stringify(record.request),
          ok: record.ok,
          code: record.code ?? '',
          message: record.message ?? '',
          milliseconds: record.milliseconds,
        }
    },
  })
