import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { EnsureTrust } from '#gen/hive/v1/steps_trust.ts'
import { fingerprintsOf } from '../../proto/pem.ts'
import { assertMayMutate } from '../adapters/gate.ts'
import { pkiFolder } from '../adapters/pki-folder.ts'
import { setAuthorities } from '../server/pki.ts'
import { notYetRefused, readRevoked, refuse } from '../server/revocations.ts'
import { blocked, change, type Executor, ok } from './executor.ts'

/** The agent reads its folder anew by itself when something in it changes. */
export const ensureTrust: Executor<EnsureTrust> = {
  exclusive: () => 'trust',

  async check(spec) {
    const wanted = fingerprintsOf(spec.caPem)
    if (wanted === '') return blocked('no authority is named', 'the stage has no CA before build-infra')
    const present = fingerprintsOf(await readFile(join(pkiFolder(), 'ca.pem'), 'utf8'))
    if (present !== wanted) return change('other authorities count here', short(present), short(wanted))
    const missing = notYetRefused(await readRevoked(pkiFolder()), spec.revoked, new Date())
    if (missing.length > 0) return change('revoked certificates are not refused yet', '', missing.map(({ name, role }) => `${name} (${role})`).join(', '))
    return ok
  },

  async apply(spec) {
    assertMayMutate('change whom the agent trusts')
    await refuse(pkiFolder(), spec.revoked, new Date())
    if (fingerprintsOf(await readFile(join(pkiFolder(), 'ca.pem'), 'utf8')) !== fingerprintsOf(spec.caPem)) await setAuthorities(pkiFolder(), spec.caPem)
  },
}

const short = (all: string): string =>
  all
    .split(' ')
    .map((one) => one.slice(0, 12))
    .join(' ')
