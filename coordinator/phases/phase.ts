/** The shape of a phase: a pure list of steps, preceded (where the outside must be asked first) by a look at facts. */
import type { Step, StepSpec } from '#gen/hive/v1/step.ts'
import type { PhaseName } from '../events.ts'
import type { Host, Image, Service, Site, Volume } from '../inventory/site.ts'
import type { StageState } from '../run/stage-state.ts'

/** Content that steps refer to by digest; the runner uploads it to the host before the steps that need it. */
export interface Blob {
  readonly sha256: string
  readonly size: number
  /** Opens the content from the start, each time it is called. */
  readonly open: () => AsyncIterable<Uint8Array>
}

export interface PhaseSteps {
  readonly steps: readonly Step[]
  /** Blobs by host name. Uploaded only to hosts where a step that will change refers to them. */
  readonly blobs: ReadonlyMap<string, readonly Blob[]>
  /** Host-less remarks for the plan: "pdnsdb_data is a folder shared by all hosts here, not DRBD". */
  readonly notices: readonly string[]
  /** What the inventory asks for and this version cannot build: blocked in a plan, HiveError 'unsupported' when run. */
  readonly unsupported?: readonly string[]
  /** What an earlier phase must make known first: remarked in a plan, HiveError 'blocked' when run. */
  readonly awaits?: readonly string[]
}

/** What `--limit` leaves: undefined means all. */
export interface Limit {
  readonly hosts: ReadonlySet<string> | undefined
  readonly services: ReadonlySet<string> | undefined
  readonly volumes: ReadonlySet<string> | undefined
}

/** What phases may ask of the outside before they make their steps. */
export interface PhaseInput<F> {
  readonly site: Site
  readonly limit: Limit
  readonly facts: F
  readonly state: StageState
  /** Roles are applied to hosts and running containers even where the same ones were applied before. */
  readonly reapplyRoles?: boolean
  /** What the operator named on the command line: hosts, volumes, HOST:/dev/DISK. */
  readonly allow?: ReadonlySet<string>
  /** false: services are created and changed, and nobody waits until their tasks run. */
  readonly awaitTasks?: boolean
}

/** Asks agents; given to `gather`. Rejects with HiveError 'unreachable' where a host does not answer. */
export interface FactSource {
  readonly site: Site
  readonly limit: Limit
  readonly state: StageState
  /** Resolves references at their registry, asked from one of the site's hosts; "" where it is not there. */
  resolveImage(reference: string): Promise<string>
  readonly refreshImages: boolean
  /** What the site's own registry has, "PATH:TAG" → digest; undefined where nobody could say (it is not set up yet). */
  registryTags(): Promise<ReadonlyMap<string, string> | undefined>
  /** What docker has on the hosts that answer, in the inventory's order. */
  imagesOnHosts(): Promise<readonly HostImages[]>
  /**
   * Where a running task of the service has its container: of several, the one on the host that is first in the
   * inventory, so that the answer stays the same while nothing moves. undefined while none runs (or no swarm is there yet).
   */
  runningTask(service: string): Promise<RunningTask | undefined>
}

export interface HostImages {
  readonly host: string
  /** Names as docker tells them: REPOSITORY:TAG, REPOSITORY@DIGEST. */
  readonly images: readonly { readonly tags: readonly string[]; readonly digests: readonly string[] }[]
}

export interface RunningTask {
  /** The host's inventory name. */
  readonly host: string
  readonly containerId: string
}

export interface Phase<F = unknown> {
  readonly name: PhaseName
  /** Read only. Absent where the site alone decides. */
  gather?(source: FactSource): Promise<F>
  steps(input: PhaseInput<F>): Promise<PhaseSteps> | PhaseSteps
}

type SpecKind = NonNullable<StepSpec['kind']>
export type SpecOf<K extends SpecKind['$case']> = Extract<SpecKind, { $case: K }>['value']

export interface StepOptions {
  readonly needs?: readonly string[]
  readonly disruption?: Step['disruption']
  readonly timeoutSeconds?: number
}

export const stepId = (phase: PhaseName, what: string, host: string): string => `${phase}/${what}@${host}`

/** One step: id from phase, what and host. */
export function step<K extends SpecKind['$case']>(
  phase: PhaseName,
  what: string,
  host: string,
  title: string,
  kind: K,
  value: SpecOf<K>,
  options: StepOptions = {},
): Step {
  return {
    id: stepId(phase, what, host),
    host,
    title,
    disruption: options.disruption ?? 0,
    needs: [...(options.needs ?? [])],
    timeoutSeconds: options.timeoutSeconds ?? 0,
    spec: { kind: { $case: kind, value } as SpecKind },
  }
}

export type { Host, Image, Service, Site, Volume }
