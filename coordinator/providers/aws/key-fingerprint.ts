/** The fingerprint that EC2 shows for an imported key pair: RSA, MD5 of the public key in DER; ED25519, SHA-256 of the OpenSSH form. Pure. */
import { createHash, createPublicKey } from 'node:crypto'

/** `publicKey`: one authorized_keys line. undefined for what EC2 does not take. Source: "Verify the fingerprint of your key pair", EC2 User Guide. */
export function fingerprintOf(publicKey: string): string | undefined {
  const [type, encoded = ''] = publicKey.split(/\s+/)
  const blob = Buffer.from(encoded, 'base64')
  if (type === 'ssh-ed25519') return createHash('sha256').update(blob).digest('base64')
  if (type !== 'ssh-rsa') return undefined
  const parts: Buffer[] = []
  for (let at = 0; at + 4 <= blob.length; ) {
    const length = blob.readUInt32BE(at)
    parts.push(blob.subarray(at + 4, at + 4 + length))
    at += 4 + length
  }
  const [, e, n] = parts
  if (e === undefined || n === undefined) return undefined
  // A leading zero only says that the number is positive.
  const number = (bytes: Buffer): string => bytes.subarray(bytes[0] === 0 ? 1 : 0).toString('base64url')
  const der = createPublicKey({ key: { kty: 'RSA', e: number(e), n: number(n) }, format: 'jwk' }).export({ type: 'spki', format: 'der' })
  return (createHash('md5').update(der).digest('hex').match(/../g) ?? []).join(':')
}
