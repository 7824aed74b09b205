/**
 * What is to be said of DRBD on a host, from what was seen there. Pure.
 *
 * A host that already has mirrored volumes works with what it has: what is wrong with it is told at each plan, and never stops a deploy.
 * On a host without any it is put right, or else refused, before data depends on it.
 */
import type { ModuleOnDisk } from '../kernel-modules.ts'
import { compareVersions, type DrbdVersions, floorText, isDrbd8, reachesFloor } from './module-version.ts'

export interface ModuleFacts {
  /** undefined: drbd-utils are not installed. */
  readonly versions: DrbdVersions | undefined
  /** Version of the module that is loaded; '': not loaded. */
  readonly loaded: string
  readonly onDisk: ModuleOnDisk | undefined
  readonly kernel: string
  /** The release that boots next; undefined: not known. */
  readonly nextKernel: string | undefined
  /** The module that it will find; the same as `onDisk` where it is the running one. */
  readonly onNextDisk: ModuleOnDisk | undefined
  readonly signaturesRequired: boolean
  /** Whether the host has mirrored volumes already. */
  readonly hasVolumes: boolean
  /** The kernel that is asked for by name, and is not the running one; undefined: none is. */
  readonly wanted: { readonly pattern: string; readonly installed: string | undefined } | undefined
  /** Version in the name of the archive of packages; '': unknown, or there is none. */
  readonly offered: string
  /** Files and holds that are not as they should be, in words. */
  readonly unset: readonly string[]
}

export type Finding =
  /** `remedy`: what is to be brought or done. Nothing else is touched. */
  | { readonly kind: 'change'; readonly reason: string; readonly remedy: 'kernel' | 'tools' | 'module' | 'load' | 'settings' }
  | { readonly kind: 'blocked' | 'notice'; readonly reason: string; readonly hint?: string }

const newer = `at least ${floorText} is needed: before, a host without a disk could go on with data that the others did not have, and nothing told`
const newerWay = 'set hive_drbd_download_url to packages of a newer version, then run setup-hosts'

export function findings(facts: ModuleFacts): readonly Finding[] {
  const installation = [...tools(facts), ...wantedKernel(facts), ...runningModule(facts), ...nextModule(facts)]
  const found = facts.hasVolumes ? installation.map(spared) : installation
  return [...found, ...facts.unset.map((reason): Finding => ({ kind: 'change', reason, remedy: 'settings' }))]
}

/** What makes a live host wait for somebody is told instead. */
const spared = (finding: Finding): Finding => (finding.kind === 'blocked' ? { ...finding, kind: 'notice' } : finding)

const tools = ({ versions }: ModuleFacts): readonly Finding[] =>
  versions === undefined || versions.tools === '' ? [{ kind: 'change', reason: 'drbd-utils are not installed', remedy: 'tools' }] : []

function wantedKernel({ wanted, nextKernel, kernel, loaded, onDisk, onNextDisk }: ModuleFacts): readonly Finding[] {
  if (wanted === undefined) return []
  if (wanted.installed === undefined) return [{ kind: 'change', reason: `kernel ${wanted.pattern} is not installed`, remedy: 'kernel' }]
  if (nextKernel !== wanted.installed) return [{ kind: 'change', reason: `${wanted.installed} is not the kernel that boots next`, remedy: 'kernel' }]
  // Its module comes first.
  if (!reachesFloor(onNextDisk?.version ?? '')) return []
  const works = reachesFloor(loaded === '' ? (onDisk?.version ?? '') : loaded)
  return [{ kind: works ? 'notice' : 'blocked', reason: `runs ${kernel}; ${wanted.installed} boots next`, hint: rebootHint }]
}

const rebootHint = 'reboot the hosts one after the other: hivecoord host reboot --all'

/** Of the running kernel. Nothing is asked of it while another one is awaited. */
function runningModule(facts: ModuleFacts): readonly Finding[] {
  const { loaded, onDisk, kernel, wanted, hasVolumes } = facts
  if (wanted !== undefined && !hasVolumes) return []
  const disk = onDisk?.version ?? ''
  if (loaded === '') {
    if (onDisk === undefined) return [{ kind: 'change', reason: `the running kernel ${kernel} has no DRBD 9`, remedy: 'module' }]
    if (!reachesFloor(disk)) {
      const old = tooOld(facts, disk, kernel)
      return old.kind === 'notice' ? [old, notLoaded] : [old]
    }
    if (unsigned(facts, onDisk)) return [unsignedFinding(onDisk)]
    return [notLoaded]
  }
  if (reachesFloor(loaded))
    return compareVersions(disk, loaded) > 0 ? [{ kind: 'notice', reason: `DRBD ${disk} is installed; ${loaded} runs until the next reboot` }] : []
  if (!reachesFloor(disk)) return [tooOld(facts, loaded, kernel)]
  if (!hasVolumes) return [{ kind: 'change', reason: `DRBD ${loaded} is loaded; ${disk} is installed`, remedy: 'load' }]
  return [{ kind: 'notice', reason: `DRBD ${loaded} runs until the next reboot; ${disk} is installed`, hint: rebootHint }]
}

const notLoaded: Finding = { kind: 'change', reason: 'its module is not loaded', remedy: 'load' }

function tooOld({ hasVolumes, offered }: ModuleFacts, version: string, kernel: string): Finding {
  const remedy = 'module'
  if (isDrbd8(version))
    return { kind: 'change', reason: `kernel ${kernel} has its own DRBD ${version} only, which mirrors to one host and knows no quorum`, remedy }
  const reason = `DRBD ${version === '' ? 'of an unknown version' : version} is too old: ${newer}`
  const isBetter = compareVersions(offered, version) > 0 && reachesFloor(offered)
  if (hasVolumes && !isBetter) return { kind: 'notice', reason: `${reason}. No new volume is made with it`, hint: newerWay }
  return { kind: 'change', reason, remedy }
}

/** Of the kernel that boots next, where it is another one. */
function nextModule(facts: ModuleFacts): readonly Finding[] {
  const { nextKernel, kernel, onNextDisk, hasVolumes } = facts
  if (nextKernel === undefined || nextKernel === kernel) return []
  const version = onNextDisk?.version ?? ''
  if (reachesFloor(version)) return unsigned(facts, onNextDisk) && onNextDisk !== undefined ? [{ ...unsignedFinding(onNextDisk), kind: 'notice' }] : []
  const has = onNextDisk === undefined ? 'no DRBD' : `DRBD ${version === '' ? 'of an unknown version' : version}`
  const reason = `kernel ${nextKernel} boots next and has ${has}`
  const isOld = onNextDisk !== undefined && tooOld(facts, version, nextKernel).kind === 'notice'
  if (facts.wanted !== undefined && !isOld) return [{ kind: 'change', reason, remedy: 'module' }]
  // As old as what runs: told already.
  if (isOld && !reachesFloor(facts.loaded)) return []
  // Whoever put the kernel there may be about to put the module there too; nothing that runs is at stake before the reboot.
  const hint = `install its module, or keep the running kernel: grubby --set-default /boot/vmlinuz-${kernel}, on Debian remove linux-image-${nextKernel}`
  return [{ kind: 'notice', reason: `${reason}${isOld ? ', which is too old' : hasVolumes ? ': volumes would not come up' : ''}`, hint }]
}

/**
 * Whether volumes that work with the loaded module come up with this one, too; `loaded`: its version, '' where none is. An old one that
 * serves now is not refused for its age.
 */
export function serves(module: ModuleOnDisk | undefined, loaded: string, signaturesRequired: boolean): boolean {
  if (module === undefined || unsigned({ signaturesRequired }, module)) return false
  return reachesFloor(module.version) || (loaded !== '' && !isDrbd8(module.version) && compareVersions(module.version, loaded) >= 0)
}

const unsigned = ({ signaturesRequired }: Pick<ModuleFacts, 'signaturesRequired'>, module: ModuleOnDisk | undefined): boolean =>
  signaturesRequired && module?.signer === ''

const unsignedFinding = ({ path, version }: ModuleOnDisk): Exclude<Finding, { kind: 'change' }> => ({
  kind: 'blocked',
  reason: `the kernel loads signed modules only (Secure Boot), and DRBD ${version} is not signed: ${path}`,
  hint: "take packages with a signed module and enrol their key (mokutil --import), or turn Secure Boot off in the machine's firmware",
})

/** What `modprobe drbd` said, as something to do about it. */
export function loadFailure(stderr: string, module: ModuleOnDisk | undefined): { readonly reason: string; readonly hint: string } {
  const said = stderr.trim().split('\n').at(-1) ?? ''
  if (/Required key not available|Key was rejected by service|Operation not permitted/.test(stderr))
    return {
      reason: `the kernel refuses DRBD's module, which is ${module?.signer ? `signed with ${module.signer}` : 'not signed'}: ${said}`,
      hint: module?.signer
        ? "enrol that key: mokutil --import KEY.der (ELRepo's: https://elrepo.org/SECURE-BOOT-KEY-elrepo.org.der), reboot and confirm at the console"
        : "take packages with a signed module, or turn Secure Boot off in the machine's firmware",
    }
  if (/Exec format error|Invalid argument|Unknown symbol/.test(stderr))
    return { reason: `DRBD's module is not for the running kernel: ${said}`, hint: 'journalctl -k tells the symbol; take packages made for this kernel' }
  if (/not found/.test(stderr)) return { reason: `the running kernel has no module drbd: ${said}`, hint: newerWay }
  return { reason: `DRBD's module can't be loaded: ${said}`, hint: 'journalctl -k tells why' }
}
