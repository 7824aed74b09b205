/** A throw-away CA and certificates, as a stage has them. */
import 'reflect-metadata'
import { createPrivateKey, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'

x509.cryptoProvider.set(webcrypto)
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const day = 24 * 3600 * 1000

export interface Issued {
  readonly cert: string
  readonly key: string
}

export class SiteCa {
  readonly pem: string
  readonly #certificate: x509.X509Certificate
  readonly #keys: webcrypto.CryptoKeyPair
  #serial = 1

  private constructor(certificate: x509.X509Certificate, keys: webcrypto.CryptoKeyPair) {
    this.#certificate = certificate
    this.#keys = keys
    this.pem = certificate.toString('pem')
  }

  static async make(name: string): Promise<SiteCa> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      serialNumber: '01',
      name: `CN=${name}`,
      notBefore: new Date(Date.now() - day),
      notAfter: new Date(Date.now() + 30 * day),
      keys,
      signingAlgorithm: algorithm,
      extensions: [new x509.BasicConstraintsExtension(true, 0, true), new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true)],
    })
    return new SiteCa(certificate, keys)
  }

  /** Days may be negative: it has expired then. */
  async issue(role: string, name: string, days = 10): Promise<Issued> {
    const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
    const cert = await this.#sign(keys.publicKey, role, name, days)
    const der = Buffer.from(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey))
    return { cert, key: createPrivateKey({ key: der, format: 'der', type: 'pkcs8' }).export({ format: 'pem', type: 'pkcs8' }).toString() }
  }

  /** Signs a request as it stands. */
  async sign(requestPem: string, days = 10): Promise<string> {
    const request = new x509.Pkcs10CertificateRequest(requestPem)
    return this.#sign(await request.publicKey.export(webcrypto), 'hive:agent', request.subjectName.getField('CN')[0] ?? '', days)
  }

  #sign(publicKey: webcrypto.CryptoKey, role: string, name: string, days: number): Promise<string> {
    this.#serial += 1
    const until = Date.now() + days * day
    return x509.X509CertificateGenerator.create({
      serialNumber: this.#serial.toString(16).padStart(2, '0'),
      subject: [...(role === '' ? [] : [{ O: [role] }]), { CN: [name] }],
      issuer: this.#certificate.subjectName,
      notBefore: new Date(until - 365 * day),
      notAfter: new Date(until),
      publicKey,
      signingKey: this.#keys.privateKey,
      signingAlgorithm: algorithm,
      extensions: [
        new x509.SubjectAlternativeNameExtension([
          { type: 'dns', value: name },
          { type: 'ip', value: '127.0.0.1' },
        ]),
      ],
    }).then((certificate) => certificate.toString('pem'))
  }
}
