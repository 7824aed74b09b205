/** What a bearer gets: a context folder with a certificate and what is needed to know the hosts, without any other key of the stage. */
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { HiveError } from '../../proto/errors.ts'
import { CertificateIndex } from '../pki/certificate-index.ts'
import type { Credentials, StagePki } from '../pki/stage-pki.ts'
import { writeFileAtomic } from '../run/atomic-file.ts'

/** Throws HiveError 'conflict' where the folder is there and not empty. */
export function refuseTaken(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new HiveError('conflict', `${folder} is there already`, { hint: 'name another folder with --to' })
}

/** FOLDER/ca/cacert.pem, FOLDER/ca/index.jsonl with the hosts' certificates and what is revoked, FOLDER/pki/NAME/cert.pem and key.pem. */
export function writeHandOver(folder: string, pki: StagePki, name: string, { certificatePem, keyPem }: Credentials): void {
  const own = join(folder, 'pki', name)
  writeFileAtomic(join(own, 'key.pem'), keyPem)
  writeFileAtomic(join(own, 'cert.pem'), certificatePem, 0o644)
  const index = new CertificateIndex(join(folder, 'ca'))
  for (const entry of pki.issued().filter(({ role }) => role === 'hive:agent')) index.add(entry)
  for (const entry of pki.revoked()) index.revoke(entry)
  writeFileAtomic(join(folder, 'ca/cacert.pem'), pki.signingPem, 0o644)
}
