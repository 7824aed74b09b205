/** From what the hosts answered to what is wrong, the gravest first. Pure. */
import type { Examination } from '#gen/hive/v1/doctor.ts'
import { connectionFindings } from './connection-findings.ts'
import { diskFindings } from './disk-findings.ts'
import { type Finding, finding, ranked, type StateName, states } from './finding.ts'
import { pictureOf, type VolumeOfSite, type VolumePicture } from './picture.ts'

export interface DiagnosisInput {
  readonly volumes: readonly VolumeOfSite[]
  /** All hosts that take part in mirroring, in the order of the inventory. */
  readonly hosts: readonly string[]
  readonly examinations: ReadonlyMap<string, Examination>
  /** The same, some seconds before. */
  readonly earlier?: ReadonlyMap<string, Examination>
}

export function diagnose({ volumes, hosts, examinations, earlier }: DiagnosisInput): readonly Finding[] {
  const silent = hosts.filter((host) => !examinations.has(host))
  return ranked([
    ...(silent.length === 0
      ? []
      : [
          finding({
            state: 'host-unreachable',
            volume: undefined,
            hosts: silent,
            title: `${silent.join(', ')} did not answer`,
            evidence: [],
            advice: 'what is said here leaves out what they hold',
          }),
        ]),
    ...hosts.flatMap((host) => ofHost(host, examinations.get(host))),
    ...volumes.flatMap((volume) => diagnoseVolume(pictureOf(volume, hosts, examinations, earlier))),
  ])
}

export function diagnoseVolume(picture: VolumePicture): readonly Finding[] {
  const ofDisks = diskFindings(picture)
  const ofConnections = connectionFindings(picture)
  const split = new Set(ofConnections.filter(({ state }) => state === 'split-brain').flatMap(({ hosts }) => hosts))
  const broken = new Set(ofDisks.filter(({ state }) => ofItsDisk.has(state)).flatMap(({ hosts }) => hosts))
  return [...ofDisks, ...ofConnections.filter(({ state, hosts }) => !(consequences.has(state) && hosts.some((host) => split.has(host) || broken.has(host))))]
}

/** What keeps a host from connecting at all, and what is then only its consequence. */
const ofItsDisk: ReadonlySet<StateName> = new Set(['node-id-mismatch', 'missing-metadata', 'disk-missing'])
const consequences: ReadonlySet<StateName> = new Set(['standalone-unexplained', 'connecting-for-good'])

const ofHost = (host: string, examination: Examination | undefined): readonly Finding[] =>
  (examination?.problems ?? []).map(({ state, title, evidence, advice }) =>
    finding({ state: isState(state) ? state : 'tools', volume: undefined, hosts: [host], title: `${host}: ${title}`, evidence, advice }),
  )

const isState = (name: string): name is StateName => Object.hasOwn(states, name)
