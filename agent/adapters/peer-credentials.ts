/** How this host's agent shows itself to another one, and whom it takes for it. */
import { checkServerIdentity, createSecureContext } from 'node:tls'
import { ChannelCredentials } from '@grpc/grpc-js'
import { plainSerial } from '../../proto/pem.ts'
import { loadPki } from '../server/pki.ts'
import { readRevoked } from '../server/revocations.ts'

/** TLS 1.3; the peer must have its name, and a certificate that is not revoked. Throws HiveError before the host is enrolled. */
export async function peerCredentials(pkiDir: string): Promise<ChannelCredentials> {
  const [{ ca, cert, key }, revoked] = await Promise.all([loadPki(pkiDir), readRevoked(pkiDir)])
  const refused = new Set(revoked.map(({ serial }) => plainSerial(serial)))
  return ChannelCredentials.createFromSecureContext(createSecureContext({ ca, cert, key, minVersion: 'TLSv1.3' }), {
    checkServerIdentity: (name, certificate) =>
      checkServerIdentity(name, certificate) ??
      (refused.has(plainSerial(certificate.serialNumber)) ? new Error(`the certificate of ${name} was revoked`) : undefined),
  })
}
