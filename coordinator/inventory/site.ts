/**
 * The resolved site of one stage: everything the phases need, typed, templated, validated, allocated.
 * Made by `loadSite` (load.ts); phases only read it.
 */
import type { AnsibleInventory } from './ansible-inventory.ts'
import type { MonitoringSettings } from './monitoring-settings.ts'
import type { ZabbixSite } from './zabbix.ts'

export const stageNames = ['private', 'staging', 'production'] as const
export type StageName = (typeof stageNames)[number]

export interface Site {
  readonly name: string
  readonly stage: StageName
  /** As written in the inventory; `effectiveProvider` is what carries it out (vagrant falls back to nspawn). */
  readonly provider: string
  readonly effectiveProvider: string
  /** The site folder, absolute. */
  readonly root: string
  /** `.hive/STAGE` unless set otherwise, absolute. */
  readonly contextDir: string
  readonly cidr: string
  readonly internalCidr: string | undefined
  readonly internalCidrV6: string | undefined
  /** The stage's attributes of the hive definition, as written (templates not resolved). */
  readonly attributes: Readonly<Record<string, unknown>>
  readonly hosts: readonly Host[]
  readonly networks: readonly Network[]
  readonly volumes: readonly Volume[]
  readonly images: readonly Image[]
  readonly services: readonly Service[]
  readonly registry: {
    readonly host: string
    readonly port: number
    readonly user: string
    readonly password: string
    /** Reference of the image that it runs from where it is a container. */
    readonly image: string
    /** A container also where the host's packages have a registry. */
    readonly inContainer: boolean
    /** The newest builds of each image that stay when old ones are taken away. */
    readonly keep: number
    /** HH:MM by the host's clock, when that is done each day; undefined: never by itself. */
    readonly upkeepAt: string | undefined
    /** A registry beside it that keeps what hosts pull from elsewhere. */
    readonly cache: { readonly url: string; readonly port: number } | undefined
    /** References that images of any stage are pulled from. */
    readonly pulledFrom: readonly string[]
  }
  /** How logs of services get to the repository server. */
  readonly logs: {
    /** UDP: of the hive hosts on loopback, for docker, and of the repository server. With `tls` it is TCP there, too. */
    readonly port: number
    /** TCP, of the repository server: what hive hosts pass on. */
    readonly relayPort: number
    /** Hosts and repository server show each other certificates, and hosts send their own logs, too. */
    readonly tls: boolean
    /** Group that may read the files. */
    readonly group: string
    readonly retentionDays: number
    /** What a host keeps at most for a repository server that is away. */
    readonly spoolMb: number
  }
  readonly zabbix: ZabbixSite
  readonly backups: BackupSettings
  /** How the hosts report to it. */
  readonly monitoring: MonitoringSettings
  readonly externalRegistries: readonly { readonly server: string; readonly user: string; readonly password: string }[]
  /** Docker-internal address plan when `internal_cidr` is set (A.5 of the reference), else what docker does by default. */
  readonly dockerNetworks: {
    readonly bridgeAddress: string | undefined // --bip, CIDR
    readonly gwbridge: { readonly subnet: string; readonly subnetV6: string | undefined } | undefined
    readonly ingress: { readonly subnet: string; readonly gateway: string } | undefined
    /** Of the containers that Zabbix consists of. */
    readonly zabbix: { readonly subnet: string; readonly bridge: string; readonly server: string; readonly web: string; readonly database: string } | undefined
  }
  /** Group name → host and pseudo-host names, all stages, as hive-builder's plugins make them. */
  readonly groups: ReadonlyMap<string, readonly string[]>
  /** A variable in the context of a host, pseudo-host or the mother; undefined where it is not defined or is `omit`. */
  variable(inventoryName: string, variable: string): unknown
  /** Whether a text was made, in whole or in part, from a generated password or a secret file: it is not to be shown. */
  isSecret(text: string): boolean
  /** Such texts that are known by now. */
  secretTexts(): readonly string[]
  /** Everything Ansible needs to run the site's roles: groups, host variables resolved where they can be, templates else. */
  ansibleInventory(): AnsibleInventory
  /** Things worth telling (a provider fallback, an ignored key), not errors. */
  readonly notices: readonly string[]
}

export interface Host {
  /** Inventory name: s-hive0.pdns */
  readonly name: string
  /** First label: the OS host name and the swarm node's name. */
  readonly shortName: string
  readonly index: number
  readonly address: string
  readonly netmask: string
  readonly prefixLength: number
  readonly subnet: string
  readonly zone: string | undefined
  readonly groups: readonly string[]
  readonly isHive: boolean
  readonly isRepository: boolean
  readonly isFirstHive: boolean
  readonly settings: HostSettings
}

/** Host variables that setup-hosts uses, resolved, with the defaults of A.7.2. */
export interface HostSettings {
  readonly admin: string
  readonly adminGroup: string
  readonly adminUid: number | undefined
  readonly adminGid: number | undefined
  readonly rootPassword: string | undefined
  readonly sshdPort: number
  readonly timezone: string | undefined
  readonly locale: string | undefined
  readonly ntpServers: readonly string[]
  readonly selinux: string
  readonly swarmMode: 'manager' | 'worker'
  readonly users: readonly {
    readonly name: string
    readonly uid: number | undefined
    readonly group: string | undefined
    readonly publicKey: string | undefined
  }[]
  readonly userGroups: readonly { readonly name: string; readonly gid: number | undefined }[]
  readonly agentPort: number
  /** Ports of the cluster and internal published ones are filtered on the host. */
  readonly firewall: boolean
  /** Addresses and networks, beside the site's hosts, that ssh and the agent are open to; none: everywhere. */
  readonly sshSources: readonly string[]
  readonly agentSources: readonly string[]
  readonly registryMirror: string | undefined
  /** Mirrors of docker's repositories for EL, of EPEL and of ELRepo. */
  readonly dockerSourceUrl: string | undefined
  readonly epelSourceUrl: string | undefined
  readonly elrepoSourceUrl: string | undefined
  /** The kernel that mirrored volumes are to run with, as the package manager takes its version. */
  readonly kernelVersion: string | undefined
  /** An archive of DRBD's packages; undefined: from the package sources. */
  readonly drbdDownloadUrl: string | undefined
  readonly diskSizeGb: number | undefined
  readonly mirroredDiskSizeGb: number | undefined
  /** It has no disk for mirrored volumes, and takes part in them over the network. */
  readonly noMirroredDevice: boolean
  readonly mirroredPools: readonly MirroredPool[]
  /** For a disk that is divided; undefined: the tool's own. */
  readonly partitionLabel: string | undefined
  readonly memoryMb: number | undefined
  readonly cpus: number | undefined
  /** SOURCE:TARGET, absolute paths of this machine and of the host: what provider nspawn binds into its hosts. */
  readonly nspawnBinds: readonly string[]
}

/** A volume group for mirrored volumes, on one of a host's disks. */
export interface MirroredPool {
  readonly volumeGroup: string
  /** undefined: no thin pool, volumes take their whole size. */
  readonly thinPool: string | undefined
  /** Candidates, tried in this order. */
  readonly devices: readonly string[]
}

export interface Network {
  readonly name: string
  readonly subnet: string | undefined
  readonly gateway: string | undefined
  readonly attachable: boolean
  readonly ipamDriver: string | undefined
  readonly ipam: readonly { readonly subnet: string | undefined; readonly gateway: string | undefined; readonly ipRange: string | undefined }[]
  readonly ipamOptions: Readonly<Record<string, string>>
  readonly driverOptions: Readonly<Record<string, string>>
}

export interface Volume {
  readonly name: string
  /** plain: docker makes it on use; driver: made with driver options on every hive; drbd, nfs: mirrored or shared. */
  readonly kind: 'plain' | 'driver' | 'drbd' | 'nfs'
  readonly stages: readonly StageName[]
  readonly driver: string | undefined
  readonly driverOptions: Readonly<Record<string, string>>
  readonly deviceId: number | undefined
  /** As written. */
  readonly size: string | undefined
  /** As asked for; LVM rounds it up to whole extents. */
  readonly sizeBytes: bigint | undefined
  readonly fstype: string | undefined
  /** Hosts of any stage that hold no disk of it. */
  readonly diskless: readonly string[]
  /** undefined: the one that hive-builder takes, drbdvg. */
  readonly volumeGroup: string | undefined
}

export interface Image {
  /** The pseudo-host: image_SERVICE */
  readonly name: string
  readonly service: string
  readonly stages: readonly StageName[]
  readonly from: string
  readonly roles: readonly string[]
  readonly environment: Readonly<Record<string, string>>
  readonly stopSignal: string | undefined
  readonly user: string | undefined
  readonly workingDir: string | undefined
  readonly standalone: boolean
  readonly privileged: boolean
  readonly entrypoint: readonly string[] | undefined
  readonly command: readonly string[] | undefined
  readonly expose: readonly string[]
  /** Set where nothing is built on this stage: the external reference used instead. */
  readonly pullFrom: string | undefined
  /** REGISTRY:PORT/image_SERVICE */
  readonly repository: string
}

/** A docker secret or config. */
export interface ServiceFile {
  readonly name: string
  readonly content: string
  /** A path in the container; of a secret a bare name is below /run/secrets. */
  readonly target: string
  readonly uid: number
  readonly gid: number
  readonly mode: number
}

/** How the tasks of a service are replaced. */
export interface UpdatePolicy {
  /** Tasks at a time, 0: all. */
  readonly parallelism: number
  readonly delayNs: bigint
  readonly failureAction: string
  /** For so long after its start a task's failure counts. */
  readonly monitorNs: bigint
  /** 0 to 1: of the tasks, so many may fail. */
  readonly maxFailureRatio: number
  readonly order: string
}

export interface Service {
  readonly name: string
  readonly stages: readonly StageName[]
  /** A reference to pull (tag mapping applied), or the built image's pseudo-host. */
  readonly image: { readonly kind: 'reference'; readonly reference: string } | { readonly kind: 'built'; readonly image: string }
  /** Set by tag mapping for a built image: deploy exactly this reference. */
  readonly mappedReference: string | undefined
  readonly command: readonly string[] | undefined // docker's args
  readonly entrypoint: readonly string[] | undefined
  readonly environment: Readonly<Record<string, string>>
  readonly dns: readonly string[]
  /** Only those of the service itself; the servers of the stage are added by deploy-services. */
  readonly hosts: Readonly<Record<string, string>>
  readonly endpointMode: 'vip' | 'dnsrr'
  readonly mode: 'replicated' | 'global'
  readonly replicas: number | undefined
  readonly constraints: readonly string[]
  readonly preferences: readonly string[]
  readonly ports: readonly ServicePort[]
  readonly mounts: readonly ServiceMount[]
  readonly networks: readonly string[]
  readonly labels: Readonly<Record<string, string>>
  /** undefined: the site's default (syslog to the repository server). */
  readonly logging: { readonly driver: string; readonly options: Readonly<Record<string, string>> } | undefined
  readonly healthcheck:
    | { readonly test: readonly string[]; readonly intervalNs: bigint; readonly timeoutNs: bigint; readonly startPeriodNs: bigint; readonly retries: number }
    | undefined
  readonly restart:
    | { readonly condition: string; readonly delayNs: bigint | undefined; readonly maxAttempts: number | undefined; readonly windowNs: bigint | undefined }
    | undefined
  readonly stopGracePeriodNs: bigint | undefined
  readonly user: string | undefined
  readonly workingDir: string | undefined
  readonly capAdd: readonly string[]
  readonly capDrop: readonly string[]
  readonly sysctls: Readonly<Record<string, string>>
  /** undefined: as docker has it. */
  readonly update: UpdatePolicy | undefined
  readonly rollback: UpdatePolicy | undefined
  readonly secrets: readonly ServiceFile[]
  readonly configs: readonly ServiceFile[]
  readonly cpuReservation: number | undefined
  readonly memoryReservationBytes: bigint | undefined
  readonly cpuLimit: number | undefined
  readonly memoryLimitBytes: bigint | undefined
  readonly standalone: boolean
  readonly initializeRoles: readonly string[]
  readonly backupScripts: readonly BackupScript[]
  readonly monitorError: readonly string[]
  readonly ignoreError: readonly string[]
}

export interface ServicePort {
  readonly published: number
  readonly target: number
  readonly protocol: 'tcp' | 'udp' | 'sctp'
  readonly mode: 'ingress' | 'host'
}

export interface ServiceMount {
  readonly type: 'bind' | 'volume' | 'tmpfs'
  readonly source: string
  readonly target: string
  readonly readOnly: boolean
}

export interface BackupScript {
  readonly name: string
  readonly directory: string | undefined
  readonly backupCommand: string | undefined
  readonly backupFile: string | undefined
  readonly restoreCommand: string | undefined
  readonly restoreFile: string | undefined
  readonly ext: string
  readonly cleanupDaysBefore: number | undefined
  readonly batchScripts: readonly string[]
  /** Run in a drill after the restore; undefined: the restore's own end says all. */
  readonly drillCommand: string | undefined
}

/** Of the repository server's nightly run. */
export interface BackupSettings {
  /** HH:MM by that server's clock. */
  readonly at: string
  /** Where copies go; undefined: nowhere. */
  readonly restic:
    | {
        readonly repository: string
        readonly password: string
        readonly environment: Readonly<Record<string, string>>
        /** Of which unit how many copies are kept; empty: all. */
        readonly keep: Readonly<Record<string, number>>
      }
    | undefined
}
