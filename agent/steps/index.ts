/** Every kind of step and what carries it out. */
import { buildImage } from './build-image.ts'
import { ensureArchivedImage } from './ensure-archived-image.ts'
import { ensureBackupFiles } from './ensure-backup-files.ts'
import { ensureBackups } from './ensure-backups.ts'
import { ensureBlock } from './ensure-block.ts'
import { ensureContainer } from './ensure-container.ts'
import { ensureDrbdFileSystem } from './ensure-drbd-file-system.ts'
import { ensureDrbdModule } from './ensure-drbd-module.ts'
import { ensureDrbdResource } from './ensure-drbd-resource.ts'
import { ensureDrbdVolume } from './ensure-drbd-volume.ts'
import { ensureFiles } from './ensure-files.ts'
import { ensureFirewall } from './ensure-firewall.ts'
import { ensureHistory } from './ensure-history.ts'
import { ensureHostname } from './ensure-hostname.ts'
import { ensureImage } from './ensure-image.ts'
import { ensureLocale } from './ensure-locale.ts'
import { ensureLogRules } from './ensure-log-rules.ts'
import { ensureMonitoring } from './ensure-monitoring.ts'
import { ensureNetwork } from './ensure-network.ts'
import { ensureNodeLabels } from './ensure-node-labels.ts'
import { ensurePackages } from './ensure-packages.ts'
import { ensurePushedImage } from './ensure-pushed-image.ts'
import { ensureRegistry } from './ensure-registry.ts'
import { ensureRegistryUpkeep } from './ensure-registry-upkeep.ts'
import { ensureSelinux } from './ensure-selinux.ts'
import { ensureService } from './ensure-service.ts'
import { ensureSwarmMember } from './ensure-swarm-member.ts'
import { ensureSysctl } from './ensure-sysctl.ts'
import { ensureTimezone } from './ensure-timezone.ts'
import { ensureTrust } from './ensure-trust.ts'
import { ensureTrustAnchor } from './ensure-trust-anchor.ts'
import { ensureUnit } from './ensure-unit.ts'
import { ensureUpdated } from './ensure-updated.ts'
import { ensureUsers } from './ensure-users.ts'
import { ensureVolume } from './ensure-volume.ts'
import { ensureVolumeGroup } from './ensure-volume-group.ts'
import { ensureZabbix } from './ensure-zabbix.ts'
import type { Executors } from './executor.ts'
import { removeMirroredVolume } from './remove-mirrored-volume.ts'
import { runRoles } from './run-roles.ts'

export const executors: Executors = {
  ensureHostname,
  ensureFiles,
  ensureBlock,
  ensurePackages,
  ensureUsers,
  ensureSysctl,
  ensureTimezone,
  ensureLocale,
  ensureUnit,
  ensureTrustAnchor,
  ensureSelinux,
  ensureRegistry,
  ensureSwarmMember,
  ensureNodeLabels,
  ensureNetwork,
  ensureVolume,
  ensureImage,
  ensureService,
  ensureArchivedImage,
  ensureContainer,
  ensureVolumeGroup,
  ensureDrbdModule,
  ensureDrbdResource,
  ensureDrbdVolume,
  ensureDrbdFileSystem,
  removeMirroredVolume,
  ensureMonitoring,
  buildImage,
  runRoles,
  ensureRegistryUpkeep,
  ensurePushedImage,
  ensureBackups,
  ensureBackupFiles,
  ensureHistory,
  ensureTrust,
  ensureLogRules,
  ensureZabbix,
  ensureUpdated,
  ensureFirewall,
}
