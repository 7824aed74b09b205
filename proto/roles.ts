/**
 * Who may call what. Roles stand in the O= of a certificate's subject: hive:admin may do what hive:operator may, and that one what
 * hive:reader may. hive:agent is what hosts show to each other; it is outside this order.
 */
export const roles = ['hive:reader', 'hive:operator', 'hive:admin'] as const
export type Role = (typeof roles)[number]
export const agentRole = 'hive:agent'

export interface Rule {
  /** The least role. */
  readonly role: Role
  /** The call may change the host: it is audited, and only then mutation is allowed inside it. */
  readonly mutates: boolean
  /** hive:agent may call it too. */
  readonly peers?: true
}

const reads: Rule = { role: 'hive:reader', mutates: false }
const readsSecrets: Rule = { role: 'hive:operator', mutates: false }
const operates: Rule = { role: 'hive:operator', mutates: true }
const administers: Rule = { role: 'hive:admin', mutates: true }
const greets: Rule = { ...reads, peers: true }
/** Further narrowed where it is implemented: of the hosts only the repository server may. */
const forRepository: Rule = { ...operates, peers: true }

/** Every RPC of the contract has exactly one rule here. */
export const rules: Readonly<Record<string, Rule>> = {
  'grpc.health.v1.Health/Check': greets,
  'grpc.health.v1.Health/Watch': greets,
  'grpc.reflection.v1.ServerReflection/ServerReflectionInfo': reads,
  'grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo': reads,

  // Specs carry secrets, and a plan's answer tells how a guess differs from what is there.
  'hive.v1.StepService/Plan': readsSecrets,
  'hive.v1.StepService/StartRun': operates,
  'hive.v1.StepService/WatchRun': reads,
  'hive.v1.StepService/ListRuns': reads,
  'hive.v1.StepService/CancelRun': operates,
  'hive.v1.LockService/Acquire': operates,
  'hive.v1.LockService/Release': operates,
  'hive.v1.LockService/Get': reads,
  'hive.v1.BlobService/Has': reads,
  'hive.v1.BlobService/Upload': operates,

  'hive.v1.HostService/Info': greets,
  'hive.v1.HostService/Inventory': reads,
  'hive.v1.HostService/ListUnits': reads,
  'hive.v1.HostService/ControlUnit': operates,
  'hive.v1.HostService/ReadLog': reads,
  'hive.v1.HostService/CreateCertificateRequest': administers,
  'hive.v1.HostService/InstallCertificate': administers,
  'hive.v1.HostService/Reboot': operates,
  'hive.v1.HostService/RestartNeeded': reads,

  'hive.v1.TrustService/Get': reads,
  'hive.v1.TrustService/SetAuthorities': administers,
  'hive.v1.TrustService/Refuse': administers,
  'hive.v1.AuditService/Read': reads,

  'hive.v1.DoctorService/Examine': reads,
  'hive.v1.LogService/Read': reads,

  'hive.v1.MaintenanceService/OpenMaintenance': operates,
  'hive.v1.MaintenanceService/CloseMaintenance': operates,
  'hive.v1.MaintenanceService/ListProblems': reads,
  // What is behind it asks for a password of its own.
  'hive.v1.TunnelService/Connect': { role: 'hive:operator', mutates: false },

  'hive.v1.SwarmService/Info': reads,
  'hive.v1.SwarmService/JoinToken': readsSecrets,
  'hive.v1.SwarmService/ListNodes': reads,
  'hive.v1.SwarmService/Ensure': operates,
  'hive.v1.SwarmService/Leave': administers,
  'hive.v1.SwarmService/SetAvailability': operates,
  'hive.v1.SwarmService/SetRole': operates,
  'hive.v1.SwarmService/RemoveNode': administers,
  'hive.v1.SwarmService/SetLabels': operates,
  'hive.v1.SwarmService/SetLabel': operates,
  'hive.v1.SwarmService/Raft': reads,
  'hive.v1.SwarmService/ForceNewCluster': administers,
  'hive.v1.NetworkService/List': reads,
  'hive.v1.NetworkService/Ensure': operates,
  'hive.v1.NetworkService/Remove': operates,
  'hive.v1.VolumeService/List': reads,
  'hive.v1.VolumeService/Ensure': operates,
  // Data goes with the volume.
  'hive.v1.VolumeService/Remove': administers,
  'hive.v1.ImageService/List': reads,
  'hive.v1.ImageService/Ensure': operates,
  'hive.v1.ImageService/Remove': operates,
  'hive.v1.ImageService/Resolve': reads,
  // The registry's host asks what services run before it takes images away.
  'hive.v1.ServiceService/List': greets,
  'hive.v1.ServiceService/Tasks': reads,
  'hive.v1.ServiceService/Ensure': operates,
  'hive.v1.ServiceService/Remove': operates,
  'hive.v1.ServiceService/Restart': operates,
  'hive.v1.ServiceService/Scale': operates,
  'hive.v1.ServiceService/Rollback': operates,
  'hive.v1.ContainerService/List': reads,
  'hive.v1.ContainerService/Exec': operates,
  'hive.v1.ContainerService/Logs': reads,
  'hive.v1.ContainerService/StatFile': readsSecrets,
  'hive.v1.ContainerService/ReadFiles': readsSecrets,
  'hive.v1.ContainerService/WriteFiles': operates,
  'hive.v1.DrbdService/List': reads,
  'hive.v1.DrbdService/Status': reads,
  'hive.v1.DrbdService/Watch': reads,
  'hive.v1.DrbdService/Up': operates,
  'hive.v1.DrbdService/Down': operates,
  'hive.v1.DrbdService/Connect': operates,
  'hive.v1.DrbdService/Disconnect': operates,
  'hive.v1.DrbdService/Primary': operates,
  'hive.v1.DrbdService/Secondary': operates,
  'hive.v1.DrbdService/Adjust': operates,
  'hive.v1.DrbdService/Resize': operates,
  'hive.v1.DrbdService/Verify': operates,
  'hive.v1.DrbdService/Snapshot': operates,
  // A copy, or a vote, is given up.
  'hive.v1.DrbdService/DiscardMyData': administers,
  'hive.v1.DrbdService/Invalidate': administers,
  'hive.v1.DrbdService/ForgetPeer': administers,
  'hive.v1.RepairService/Check': readsSecrets,
  'hive.v1.RepairService/Apply': operates,
  'hive.v1.RegistryService/List': reads,
  'hive.v1.RegistryService/Usage': reads,
  'hive.v1.RegistryService/Prune': operates,
  'hive.v1.RegistryService/CollectGarbage': operates,
  'hive.v1.SupervisorService/Status': reads,
  'hive.v1.SupervisorService/Hold': operates,
  'hive.v1.SupervisorService/Release': operates,
  'hive.v1.FollowerService/Status': reads,

  'hive.v1.BackupService/Offers': greets,
  'hive.v1.BackupService/Dump': forRepository,
  'hive.v1.BackupService/Rehearse': forRepository,
  // What a service holds is replaced: an administrator allows it, the repository server carries it out.
  'hive.v1.BackupService/AllowRestore': administers,
  'hive.v1.BackupService/Load': { ...administers, peers: true },
  'hive.v1.BackupStoreService/List': reads,
  'hive.v1.BackupStoreService/Run': operates,
  'hive.v1.BackupStoreService/Verify': reads,
  'hive.v1.BackupStoreService/Restore': administers,
  'hive.v1.BackupStoreService/Drill': operates,
  'hive.v1.BackupStoreService/Export': readsSecrets,
  'hive.v1.BackupStoreService/Import': administers,
}

/** The strongest role among a certificate's O= values; undefined where none is a role. */
export function roleOf(organizations: readonly string[]): Role | typeof agentRole | undefined {
  const best = roles.findLast((role) => organizations.includes(role))
  return best ?? (organizations.includes(agentRole) ? agentRole : undefined)
}

/** Undefined: allowed. Else the sentence that tells which role is needed and which one the caller has. */
export function refusal(rpc: string, caller: { readonly name: string; readonly role: string | undefined }): string | undefined {
  const rule = rules[rpc]
  if (rule === undefined) return `${rpc} has no role rule`
  if (rule.peers === true && caller.role === agentRole) return undefined
  const has = (roles as readonly (string | undefined)[]).indexOf(caller.role)
  if (has >= roles.indexOf(rule.role)) return undefined
  return `${rpc} needs the role ${rule.role}; the certificate of ${caller.name} has ${caller.role ?? 'none'}`
}
