/** What docker's API answers and takes, as far as it is used here. Fields docker leaves out when empty are optional. */

export interface SwarmInfo {
  readonly NodeID?: string
  readonly NodeAddr?: string
  readonly LocalNodeState: string
  readonly ControlAvailable: boolean
  readonly Error?: string
  readonly Nodes?: number
  readonly Managers?: number
  /** Known without a leader. ADDRESS:PORT. */
  readonly RemoteManagers?: readonly { readonly NodeID: string; readonly Addr: string }[] | null
  readonly Cluster?: { readonly ID?: string; readonly DataPathPort?: number } | null
}
export interface DaemonInfo {
  readonly Name: string
  readonly ServerVersion: string
  readonly DockerRootDir?: string
  readonly Swarm: SwarmInfo
}

export interface Version {
  readonly Index: number
}

export interface NodeSpec {
  readonly Name?: string
  readonly Labels?: Record<string, string> | null
  readonly Role: string
  readonly Availability: string
}
export interface Node {
  readonly ID: string
  readonly Version: Version
  readonly Spec: NodeSpec
  readonly Description: { readonly Hostname: string; readonly Engine?: { readonly EngineVersion?: string } }
  readonly Status: { readonly State: string; readonly Addr?: string }
  readonly ManagerStatus?: { readonly Leader?: boolean; readonly Reachability?: string; readonly Addr?: string }
}

export interface Ipam {
  readonly Subnet?: string
  readonly Gateway?: string
  readonly IPRange?: string
}
export interface Network {
  readonly Id: string
  readonly Name: string
  readonly Driver: string
  readonly Scope: string
  readonly Attachable?: boolean
  readonly Ingress?: boolean
  readonly EnableIPv6?: boolean
  readonly IPAM?: { readonly Driver?: string; readonly Options?: Record<string, string> | null; readonly Config?: readonly Ipam[] | null }
  readonly Options?: Record<string, string> | null
  /** Addresses with their prefix; '' for none. */
  readonly Containers?: Record<string, { readonly Name?: string; readonly IPv4Address?: string; readonly IPv6Address?: string }> | null
  readonly Labels?: Record<string, string> | null
}

export interface Volume {
  readonly Name: string
  readonly Driver: string
  readonly Mountpoint: string
  readonly Options?: Record<string, string> | null
  readonly Labels?: Record<string, string> | null
}

/** The part of an image's configuration that a commit must put back. */
export interface ImageConfig {
  readonly Entrypoint?: readonly string[] | null
  readonly Cmd?: readonly string[] | null
}

export interface Image {
  readonly Id: string
  readonly Config?: ImageConfig | null
  readonly RepoTags?: readonly string[] | null
  readonly RepoDigests?: readonly string[] | null
  readonly Size: number
  readonly Created: number | string
}

export interface PortConfig {
  readonly Protocol?: string
  readonly TargetPort?: number
  readonly PublishedPort?: number
  readonly PublishMode?: string
}
export interface MountSpec {
  readonly Type?: string
  readonly Source?: string
  readonly Target?: string
  readonly ReadOnly?: boolean
  readonly VolumeOptions?: { readonly DriverConfig?: { readonly Name?: string; readonly Options?: Record<string, string> | null } | null } | null
}
export interface HealthSpec {
  readonly Test?: readonly string[] | null
  readonly Interval?: number
  readonly Timeout?: number
  readonly StartPeriod?: number
  readonly Retries?: number
}
export interface ContainerSpec {
  readonly Image?: string
  readonly Labels?: Record<string, string> | null
  readonly Command?: readonly string[] | null
  readonly Args?: readonly string[] | null
  readonly Hostname?: string
  readonly Env?: readonly string[] | null
  readonly Dir?: string
  readonly User?: string
  readonly Mounts?: readonly MountSpec[] | null
  readonly StopGracePeriod?: number
  readonly Healthcheck?: HealthSpec | null
  readonly Hosts?: readonly string[] | null
  readonly DNSConfig?: { readonly Nameservers?: readonly string[] | null } | null
  readonly Sysctls?: Record<string, string> | null
  readonly CapabilityAdd?: readonly string[] | null
  readonly CapabilityDrop?: readonly string[] | null
  readonly Secrets?: readonly FileReference[] | null
  readonly Configs?: readonly FileReference[] | null
}
/** A secret or a config; a secret's data are never told. */
export interface FileObject {
  readonly ID: string
  readonly Spec: { readonly Name: string; readonly Labels?: Record<string, string> | null }
}
/** Of one kind or the other. */
export interface FileReference {
  readonly File?: { readonly Name?: string; readonly UID?: string; readonly GID?: string; readonly Mode?: number } | null
  readonly SecretID?: string
  readonly SecretName?: string
  readonly ConfigID?: string
  readonly ConfigName?: string
}
export interface Resources {
  readonly NanoCPUs?: number
  readonly MemoryBytes?: number
}
export interface UpdateConfig {
  readonly Parallelism?: number
  readonly Delay?: number
  readonly FailureAction?: string
  readonly Monitor?: number
  readonly MaxFailureRatio?: number
  readonly Order?: string
}
export interface TaskSpec {
  readonly ContainerSpec?: ContainerSpec
  readonly Resources?: { readonly Limits?: Resources | null; readonly Reservations?: Resources | null } | null
  readonly RestartPolicy?: { readonly Condition?: string; readonly Delay?: number; readonly MaxAttempts?: number; readonly Window?: number } | null
  readonly Placement?: {
    readonly Constraints?: readonly string[] | null
    readonly Preferences?: readonly { readonly Spread?: { readonly SpreadDescriptor?: string } }[] | null
  } | null
  readonly Networks?: readonly { readonly Target?: string }[] | null
  readonly LogDriver?: { readonly Name?: string; readonly Options?: Record<string, string> | null } | null
  readonly ForceUpdate?: number
}
export interface ServiceSpec {
  readonly Name: string
  readonly Labels?: Record<string, string> | null
  readonly TaskTemplate: TaskSpec
  readonly Mode?: { readonly Replicated?: { readonly Replicas?: number }; readonly Global?: object }
  readonly EndpointSpec?: { readonly Mode?: string; readonly Ports?: readonly PortConfig[] | null } | null
  readonly Networks?: readonly { readonly Target?: string }[] | null
  readonly UpdateConfig?: UpdateConfig | null
  readonly RollbackConfig?: UpdateConfig | null
}
export interface Service {
  readonly ID: string
  readonly Version: Version
  readonly CreatedAt: string
  readonly UpdatedAt: string
  readonly Spec: ServiceSpec
  /** Before the last update. */
  readonly PreviousSpec?: ServiceSpec | null
  readonly UpdateStatus?: { readonly State?: string; readonly Message?: string } | null
  readonly ServiceStatus?: { readonly RunningTasks?: number; readonly DesiredTasks?: number } | null
}

export interface Task {
  readonly ID: string
  readonly CreatedAt: string
  readonly Spec: TaskSpec
  readonly ServiceID: string
  readonly Slot?: number
  readonly NodeID?: string
  readonly DesiredState: string
  readonly Status: {
    readonly Timestamp: string
    readonly State: string
    readonly Message?: string
    readonly Err?: string
    readonly ContainerStatus?: { readonly ContainerID?: string; readonly ExitCode?: number }
  }
}

export interface ContainerListed {
  readonly Id: string
  readonly Names: readonly string[]
  readonly Image: string
  readonly State: string
  readonly Status: string
  readonly Labels?: Record<string, string> | null
  /** Seconds since 1970. */
  readonly Created: number
  readonly Mounts?: readonly { readonly Type?: string; readonly Name?: string; readonly Source?: string; readonly Destination?: string }[] | null
}
