/** A whole stage is looked at: all its hosts in one call each, the provider, Zabbix and what this machine keeps. */
import { X509Certificate } from 'node:crypto'
import { setTimeout as pause } from 'node:timers/promises'
import type { Examination } from '#gen/hive/v1/doctor.ts'
import { workingTarget } from '../bootstrap/working-target.ts'
import type { Asked, SiteAgents } from '../client/site-agents.ts'
import { diskConstraints, mirroredVolumesOf, mirrorsWithDrbd } from '../inventory/mirrored-volumes.ts'
import type { Host, Site } from '../inventory/site.ts'
import { managersOf } from '../phases/swarm-role.ts'
import type { StagePki } from '../pki/stage-pki.ts'
import type { HostPower, Provider } from '../providers/provider.ts'
import type { StageState } from '../run/stage-state.ts'
import { version } from '../version.ts'
import { openProblems } from '../zabbix/open-problems.ts'
import { betweenHostsFindings } from './between-hosts-findings.ts'
import { diagnose } from './diagnose.ts'
import { betweenLooks, moves, volumesOf } from './examine.ts'
import { type Finding, ranked } from './finding.ts'
import { hostFindings } from './host-findings.ts'
import { swarmFindings } from './swarm-findings.ts'
import { upkeepFindings } from './upkeep-findings.ts'
import type { HostSight, WholePicture } from './whole-picture.ts'

export interface WholeInput {
  readonly site: Site
  readonly agents: Pick<SiteAgents, 'askAll' | 'reach' | 'enrolled'>
  readonly state: StageState
  readonly provider: Provider
  readonly pki: StagePki
  readonly signal: AbortSignal
}

/** Milliseconds: a host whose storage hangs answers what it can within it. */
const deadline = 60_000
const powerDeadline = 10_000
const sshDeadline = 15_000

interface WholeSight {
  readonly picture: WholePicture
  /** Of the hosts that answered, by name. */
  readonly examinations: ReadonlyMap<string, Examination>
}

/** What is wrong, the gravest first. Never rejects but for `signal`: who does not answer is part of it. */
export async function consultWhole(input: WholeInput): Promise<readonly Finding[]> {
  const { picture, examinations } = await lookAtWhole(input)
  const ofSite = [...hostFindings(picture, version), ...betweenHostsFindings(picture), ...swarmFindings(picture), ...upkeepFindings(picture)]
  // Who does not answer is told above, with what is known of it.
  const ofVolumes = (await volumeFindings(input, examinations)).filter(({ state, volume }) => state !== 'host-unreachable' || volume !== undefined)
  return ranked([...ofSite, ...ofVolumes])
}

/** One call a host. Never rejects but for `signal`. */
async function lookAtWhole(input: WholeInput): Promise<WholeSight> {
  const { site, agents, signal } = input
  const [power, asked, alerts] = await Promise.all([powerOf(input), examineAll(input), openProblems({ site, agents, signal }).catch(() => undefined)])
  signal.throwIfAborted()
  const managers = new Set(managersOf(site.hosts))
  const hosts = await Promise.all(
    site.hosts.map(async (host): Promise<HostSight> => {
      const { given, from, to } = asked.get(host.name) ?? { given: undefined, from: new Date(), to: new Date() }
      const answer = given !== undefined && 'answer' in given ? given.answer : undefined
      const reached = agents.enrolled(host.name) ? await agents.reach(host.name, signal) : undefined
      const agentVersion = reached !== undefined && 'info' in reached ? reached.info.version : undefined
      const powered = power.get(host.name) ?? 'unknown'
      return {
        name: host.name,
        shortName: host.shortName,
        isHive: host.isHive,
        isManager: managers.has(host.name),
        groups: host.groups,
        power: powered,
        error: given !== undefined && 'error' in given ? given.error.message : undefined,
        // A host that never had an agent is not ours to record the key of.
        ssh:
          agents.enrolled(host.name) && answer === undefined && agentVersion === undefined && (powered === 'running' || powered === 'unknown')
            ? await letsSshIn(host, input)
            : undefined,
        agentVersion,
        condition: answer?.condition,
        asked: from,
        answered: to,
      }
    }),
  )
  const picture: WholePicture = {
    now: new Date(),
    hosts,
    services: site.services
      .filter(({ stages }) => stages.includes(site.stage))
      .map((service) => ({ ...service, constraints: [...service.constraints, ...diskConstraints(service, site)] })),
    networks: site.networks.map(({ name }) => name),
    certificates: certificatesOf(input.pki),
    alerts,
  }
  const examinations = new Map([...asked].flatMap(([host, { given }]) => ('answer' in given ? [[host, given.answer] as const] : [])))
  return { picture, examinations }
}

interface Timed {
  readonly given: Asked<Examination>
  readonly from: Date
  readonly to: Date
}

/** All that the hosts' agents know of them, one call each. Rejects only for `signal`. */
export async function examineAll({ site, agents, signal }: Pick<WholeInput, 'site' | 'agents' | 'signal'>): Promise<ReadonlyMap<string, Timed>> {
  const mirrors = mirrorsWithDrbd(site)
  const asking = site.hosts.map(async (host): Promise<readonly [string, Timed]> => {
    const withoutVolumes = !mirrors || !host.isHive || mirroredVolumesOf(site).length === 0
    // Connecting is not part of the time in which the clock was read.
    await agents.askAll([host.name], async () => undefined, signal)
    const from = new Date()
    const answers = await agents.askAll([host.name], ({ doctor }) => doctor.examine({ volume: '', whole: true, withoutVolumes }, { deadline, signal }), signal)
    const given = answers.get(host.name)
    if (given === undefined) throw new Error(`${host.name} was not asked`)
    return [host.name, { given, from, to: new Date() }]
  })
  return new Map(await Promise.all(asking))
}

async function powerOf({ site, state, provider, signal }: WholeInput): Promise<ReadonlyMap<string, HostPower>> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(powerDeadline)])
  return provider.status({ site, state, emit: () => undefined, signal: within }).catch(() => new Map<string, HostPower>())
}

async function letsSshIn(host: Host, { site, provider, signal }: WholeInput): Promise<boolean> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(sshDeadline)])
  try {
    await workingTarget(host, provider.sshTarget(site, host.name), site.contextDir, within, 0)
    return true
  } catch {
    return false
  }
}

function certificatesOf(pki: StagePki): WholePicture['certificates'] {
  if (!pki.exists) return { revoked: [], authorityEnds: undefined }
  return {
    revoked: pki.revoked().map(({ revoked, name, role }) => ({ serial: revoked, name, role })),
    authorityEnds: new Date(new X509Certificate(pki.signingPem).validTo),
  }
}

/** What moves is looked at a second time. */
async function volumeFindings({ site, agents, signal }: WholeInput, first: ReadonlyMap<string, Examination>): Promise<readonly Finding[]> {
  const hosts = site.hosts.filter(({ isHive }) => isHive)
  const names = hosts.map(({ name }) => name)
  const volumes = mirrorsWithDrbd(site) ? volumesOf(mirroredVolumesOf(site), hosts) : []
  // What hangs on a host is told of each, whether it mirrors or not.
  if (volumes.length === 0) return diagnose({ volumes, hosts: site.hosts.map(({ name }) => name), examinations: first })
  if (![...first.values()].some(moves)) return diagnose({ volumes, hosts: names, examinations: first })
  await pause(betweenLooks, undefined, { signal })
  const again = await agents.askAll(names, ({ doctor }) => doctor.examine({ volume: '', whole: false, withoutVolumes: false }, { deadline, signal }), signal)
  const second = new Map([...again].flatMap(([host, given]) => ('answer' in given ? [[host, given.answer] as const] : [])))
  return diagnose({ volumes, hosts: names, examinations: second, earlier: first })
}
