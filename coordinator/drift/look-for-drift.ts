/** Drift is looked for: a plan of all phases, beside what hosts have that the inventory does not know. Changes nothing on hosts. */
import { plainSerial } from '../../proto/pem.ts'
import { examineAll, type WholeInput } from '../doctor/examine-whole.ts'
import { swarmOf } from '../doctor/whole-picture.ts'
import { mirrorsHere } from '../inventory/mirrored-volumes.ts'
import { managersOf } from '../phases/swarm-role.ts'
import type { PhaseReport } from '../run/deploy.ts'
import { type Drift, driftOf } from './drift.ts'
import { keepDrift } from './last-drift.ts'
import { strangersOf } from './strangers.ts'

export interface DriftInput extends Pick<WholeInput, 'site' | 'agents' | 'pki' | 'signal'> {
  /** A plan of all phases. */
  readonly plan: () => Promise<readonly PhaseReport[]>
  readonly now: () => Date
}

/** Kept in the context folder. Rejects as the plan does. */
export async function lookForDrift(input: DriftInput): Promise<Drift> {
  const { site, pki, plan, now } = input
  const [reports, asked] = await Promise.all([plan(), examineAll(input)])
  const examined = [...asked].flatMap(([name, { given }]) =>
    'answer' in given ? [{ name, condition: given.answer.condition, volumes: given.answer.volumes }] : [],
  )
  const services = site.services.filter(({ stages }) => stages.includes(site.stage)).map(({ name }) => name)
  const revoked = pki.exists ? pki.revokedSerials() : new Set<string>()
  const strangers = strangersOf({
    known: {
      services,
      networks: site.networks.map(({ name }) => name),
      volumes: site.volumes.filter(({ stages }) => stages.includes(site.stage)).map(({ name }) => name),
      hosts: site.hosts.map(({ name }) => name),
      holdsKernel: mirrorsHere(site),
    },
    swarm: swarmOf({ hosts: examined }),
    hosts: examined.flatMap(({ name, condition, volumes }) =>
      condition === undefined
        ? []
        : [{ name, volumes: condition.volumes, mirrored: volumes.map((volume) => volume.name), heldPackages: condition.heldPackages }],
    ),
    agents: pki.exists ? pki.everIssued().flatMap(({ name, role, serial }) => (role === 'hive:agent' && !revoked.has(plainSerial(serial)) ? [name] : [])) : [],
    manager: site.hosts.find(({ name }) => name === managersOf(site.hosts)[0])?.shortName ?? '',
  })
  const drift = driftOf(reports, strangers, services, now())
  keepDrift(site.contextDir, drift)
  return drift
}
