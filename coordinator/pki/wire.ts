/** Revocations as agents take them. */
import type { RevokedCertificate } from '#gen/hive/v1/trust.ts'
import type { Revocation } from './certificate-index.ts'

export const onWire = ({ revoked, name, role, at, expires, reason }: Revocation): RevokedCertificate => ({
  serial: revoked,
  name,
  role,
  at: new Date(at),
  expires: new Date(expires),
  reason,
})
