/** What the doctor says: a known bad state, how it shows, and the way out. */

/** States of mirrored volumes that are known by name, with how much they matter: 1 data or service at risk, 2 a copy or a voter is missing, 3 soon. */
export const states = {
  'split-brain': 1,
  'all-outdated': 1,
  'inconsistent-only': 1,
  'two-primaries': 1,
  'no-quorum': 1,
  'read-only-mount': 1,
  'stuck-commands': 1,
  'never-made': 2,
  'missing-metadata': 2,
  'node-id-mismatch': 2,
  'disk-missing': 2,
  'disk-detached': 2,
  'not-up': 2,
  'no-resource-file': 2,
  'bad-resource-file': 2,
  'files-differ': 2,
  'half-down': 2,
  'ex-primary': 2,
  'refused-by-race': 2,
  'wrong-secret': 2,
  'port-taken': 2,
  'peer-too-small': 2,
  'standalone-unexplained': 2,
  'not-in-peer-file': 2,
  'connecting-for-good': 2,
  'waiting-for-bitmap': 2,
  'resync-latched': 2,
  'out-of-sync': 3,
  'idle-primary': 2,
  'host-unreachable': 2,
  module: 2,
  tools: 2,
} as const

/** States of all else: 1 a service does not run or soon will not, 2 the next failure would be one too many, 3 not as it should be. */
export const siteStates = {
  'swarm-no-majority': 1,
  'swarm-no-leader': 1,
  'docker-down': 1,
  'disk-full': 1,
  'certificate-ended': 1,
  'network-missing': 1,
  'placement-impossible': 1,
  'service-down': 1,
  'service-missing': 1,
  'host-off': 2,
  'agent-silent': 2,
  'clock-apart': 2,
  'node-down': 2,
  'node-missing': 2,
  'labels-missing': 2,
  'service-behind': 2,
  'image-missing': 2,
  follower: 2,
  'firewall-off': 2,
  'revocation-unheard': 2,
  'registry-away': 2,
  'backup-failed': 2,
  'backup-old': 2,
  'logs-not-collected': 2,
  'work-left': 2,
  'supervisor-gave-up': 2,
  'agent-version': 3,
  'disk-filling': 3,
  'failed-units': 3,
  'node-drained': 3,
  'node-twice': 3,
  'certificate-ending': 3,
  'backup-unproven': 3,
  'lock-left': 3,
  'supervisor-held': 3,
  alerts: 3,
  unlooked: 3,
} as const

export type StateName = keyof typeof states | keyof typeof siteStates

/** How much a state matters, 1 the gravest. */
export const rankOf = (state: StateName): 1 | 2 | 3 => ({ ...states, ...siteStates })[state]

/** One operation of a repair, on one host. */
export type RepairAction =
  | { readonly kind: 'adjust' | 'up' | 'demote'; readonly host: string }
  | { readonly kind: 'connect' | 'disconnect'; readonly host: string; readonly peer: string }
  /** Gives up what this host has and its peers do not: its logical volume is kept as a snapshot before. */
  | { readonly kind: 'discard'; readonly host: string }
  /** Declares this host's copy to be the data, then lets it go again. */
  | { readonly kind: 'declare-valid'; readonly host: string }
  /** A unit of systemd that should run. */
  | { readonly kind: 'start-unit'; readonly host: string; readonly unit: string }

export interface Repair {
  readonly title: string
  /** Carried out in this order; each is looked at before the next. */
  readonly actions: readonly RepairAction[]
  /** Data of a host is given up, or one copy is declared to be right: done only where the volume is named, and the host where `choices` has some. */
  readonly discards: boolean
}

export interface Finding {
  readonly state: StateName
  /** undefined: of the host itself. */
  readonly volume: string | undefined
  readonly hosts: readonly string[]
  readonly title: string
  readonly evidence: readonly string[]
  /** What to do where the doctor cannot or should not. */
  readonly advice: string
  /** The command that sets it right, as it is typed; "": none does. */
  readonly command: string
  readonly repair: Repair | undefined
  /** Repairs of which the operator must choose one, by the host that gives up its data or whose copy is declared right. */
  readonly choices: ReadonlyMap<string, Repair>
}

type Given = Pick<Finding, 'state' | 'volume' | 'hosts' | 'title' | 'evidence'> & Partial<Pick<Finding, 'advice' | 'command' | 'repair' | 'choices'>>

export const finding = (given: Given): Finding => ({ advice: '', command: '', repair: undefined, choices: new Map(), ...given })

export const repairOf = (title: string, ...actions: readonly RepairAction[]): Repair => ({ title, actions, discards: false })

/** The gravest first; of one rank in the order of volumes and hosts. */
export const ranked = (findings: readonly Finding[]): readonly Finding[] =>
  findings.toSorted(
    (a, b) => rankOf(a.state) - rankOf(b.state) || (a.volume ?? '').localeCompare(b.volume ?? '') || (a.hosts[0] ?? '').localeCompare(b.hosts[0] ?? ''),
  )
