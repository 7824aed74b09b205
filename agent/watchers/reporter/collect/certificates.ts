/** How long certificates are still good. */
import { X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Collector } from '../collector.ts'
import { discovered, keyOf } from '../value.ts'

export const certificates = (pkiDir: string): Collector => ({
  name: 'certificates',
  every: 3600,
  async collect({ configuration, now }) {
    const files = { agent: join(pkiDir, 'cert.pem'), 'site CA': join(pkiDir, 'ca.pem'), ...configuration.certificates }
    const found = await Promise.all(
      Object.entries(files).map(async ([name, file]) => {
        const pem = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => (error.code === 'ENOENT' ? undefined : Promise.reject(error)))
        return pem === undefined ? [] : [{ name, file, days: daysLeft(pem, now) }]
      }),
    )
    const all = found.flat()
    return [
      { key: 'hive.certificate.discovery', value: discovered(all.map(({ name, file }) => ({ '{#CERTIFICATE}': name, '{#FILE}': file }))) },
      ...all.map(({ name, days }) => ({ key: keyOf('hive.certificate.days', name), value: days })),
    ]
  },
})

/** Of the one that ends first. Throws where there is none in the text. */
export function daysLeft(pem: string, now: number): number {
  const all = pem.match(/-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g) ?? [pem]
  return Math.min(...all.map((one) => (Date.parse(new X509Certificate(one).validTo) - now) / 86_400_000))
}
