/** Certificates in PEM text. Pure. */
import { X509Certificate } from 'node:crypto'

/** The certificates of a bundle, each as PEM with a line end, in their order. What stands between them is left out. */
export const certificatesIn = (pem: string): readonly string[] =>
  [...pem.matchAll(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g)].map(([found]) => `${found}\n`)

/** SHA-256 of a certificate (PEM), as hexadecimal. Throws where it can't be read. */
export const fingerprintOf = (pem: string): string => new X509Certificate(pem).fingerprint256.replaceAll(':', '').toLowerCase()

/** Of all certificates of a bundle, sorted, with blanks between them: the same for the same ones in whatever order. '' for none. */
export const fingerprintsOf = (pem: string): string => certificatesIn(pem).map(fingerprintOf).sort().join(' ')

/** Serial numbers are written in many ways: here lower case, without leading zeros. */
export const plainSerial = (serial: string): string =>
  serial
    .toLowerCase()
    .replaceAll(':', '')
    .replace(/^0+(?=.)/, '')

/** Whether one of these authorities (PEM) signed it. */
export function signedByOneOf(certificate: X509Certificate, authorities: readonly X509Certificate[]): boolean {
  return authorities.some((authority) => certificate.checkIssued(authority) && certificate.verify(authority.publicKey))
}
