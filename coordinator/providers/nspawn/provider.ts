/** Provider `nspawn`: the hosts of a stage as systemd-nspawn machines on this machine, in a network of their own. */
import { existsSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { HiveError } from '../../../proto/errors.ts'
import { forgetAllHostKeys, forgetHostKeys, nameInKnownHosts } from '../../bootstrap/known-hosts.ts'
import { ensureStageKey, identityFileOf } from '../../bootstrap/stage-key.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { writeFileAtomic } from '../../run/atomic-file.ts'
import { allOrErrors } from '../all-or-errors.ts'
import { hostNamed } from '../host-named.ts'
import type { HostPower, Provider, ProviderAction, ProviderContext, SshTarget } from '../provider.ts'
import { ensureBaseRoot } from './base-root.ts'
import { bringUp, firstSshPort, type HostWork, putDown, remove, removeFolder } from './hosts.ts'
import { raiseKernelLimits } from './kernel-limits.ts'
import { withLock } from './lock.ts'
import { findMachine, killMachine, listeningPort } from './machine.ts'
import { ensureSwitch, namespaceExists, removeNetwork, setCable } from './network.ts'
import { type HostState, hostAction, powerOf } from './plan.ts'
import { type HostFolder, hostFolder, hostsOnDisk, readHostRecord, recordOf, type StageFolder, stageFolder } from './stage-folder.ts'
import { assertMachineCan, ensureTools } from './tools.ts'

const stateOf = (host: HostFolder): HostState => ({
  record: readHostRecord(host),
  // A machine whose namespace is gone can't be reached and is started anew.
  running: findMachine(host) !== undefined && namespaceExists(host.namespace),
})

const locked = <T>(context: ProviderContext, stage: StageFolder, body: () => Promise<T>): Promise<T> =>
  withLock(
    stage.lockFile,
    context.signal,
    () => context.emit({ code: 'notice', message: `another command works on the hosts of stage ${context.site.stage}; waiting for it` }),
    body,
  )

async function hostWork(context: ProviderContext, stage: StageFolder): Promise<HostWork> {
  const { site, signal } = context
  const key = await ensureStageKey(site.contextDir, site.name)
  return { stage, all: site.hosts, authorizedKeys: `${key.publicKey}\n`, signal }
}

/** The base root a host was made on, else the current one, built when missing. */
async function baseRootOf(context: ProviderContext, host: HostFolder): Promise<string> {
  const record = readHostRecord(host)
  if (record === undefined) return ensureBaseRoot(context.emit, context.signal)
  if (existsSync(record.baseRoot)) return record.baseRoot
  if (!record.complete) return ensureBaseRoot(context.emit, context.signal)
  throw new HiveError('blocked', `host ${record.name} stands on ${record.baseRoot}, which is gone`, {
    host: record.name,
    hint: 'bring that folder back, or destroy the stage and deploy it anew',
  })
}

async function raise(context: ProviderContext, stage: StageFolder, hosts: readonly Host[]): Promise<void> {
  const { site } = context
  await ensureTools(context.emit, context.signal)
  raiseKernelLimits(context.emit)
  mkdirSync(stage.folder, { recursive: true, mode: 0o755 })
  writeFileAtomic(
    join(stage.folder, 'stage.json'),
    `${JSON.stringify({ site: site.root, name: site.name, stage: site.stage, contextDir: site.contextDir }, null, 2)}\n`,
    0o644,
  )
  await prepareNamespace(site)
  const work = await hostWork(context, stage)
  // What was recorded at the address of a host that is made now belonged to another one, which is gone.
  const fresh = hosts.filter((host) => readHostRecord(hostFolder(stage, host.shortName)) === undefined)
  const ports = (host: Host): readonly number[] => [firstSshPort, host.settings.sshdPort]
  await forgetHostKeys(
    site.contextDir,
    fresh.flatMap((host) => ports(host).map((port) => nameInKnownHosts(host.address, port))),
  )
  await allOrErrors(hosts, async (host) => {
    const folder = hostFolder(stage, host.shortName)
    await bringUp(work, recordOf(host, await baseRootOf(context, folder), false), { sshdPort: host.settings.sshdPort, binds: host.settings.nspawnBinds })
  })
}

/**
 * The switch of the stage and CONTEXT_DIR/netns alone, some milliseconds: so that the coordinator can move into the
 * namespace before it makes the first host. Needs root on Linux; idempotent.
 */
export async function prepareNamespace(site: Pick<Site, 'name' | 'stage' | 'root' | 'contextDir' | 'hosts'>): Promise<string> {
  assertMachineCan()
  const stage = stageFolder(site)
  await ensureSwitch(stage, site.hosts)
  writeFileAtomic(join(site.contextDir, 'netns'), `${stage.switchNamespace}\n`, 0o644)
  return stage.switchNamespace
}

async function takeAway(context: ProviderContext, name: string): Promise<void> {
  assertMachineCan()
  const stage = stageFolder(context.site)
  const host = hostNamed(context.site, name)
  await locked(context, stage, () => remove(stage, hostFolder(stage, host.shortName)))
}

export const nspawnProvider: Provider = {
  name: 'nspawn',

  async plan({ site, emit }) {
    assertMachineCan()
    const stage = stageFolder(site)
    const known = new Set(site.hosts.map(({ shortName }) => shortName))
    const extra = hostsOnDisk(stage).filter((shortName) => !known.has(shortName))
    if (extra.length > 0)
      emit({
        code: 'notice',
        message: `hosts no longer in the inventory keep running and keep their data: ${extra.join(', ')} (destroy removes them with the stage)`,
      })
    return site.hosts.flatMap((host): ProviderAction[] => {
      const action = hostAction(host, stateOf(hostFolder(stage, host.shortName)))
      if (action === undefined) return []
      const { kind: _, ...rest } = action
      return [rest]
    })
  },

  async prepare({ site, emit, signal }) {
    assertMachineCan()
    await ensureTools(emit, signal)
    await ensureBaseRoot(emit, signal)
    await prepareNamespace(site)
  },

  async apply(context) {
    assertMachineCan()
    const { site } = context
    const stage = stageFolder(site)
    await locked(context, stage, async () => {
      // Asked again: someone else may have worked on the stage since the plan.
      const moved = site.hosts.filter((host) => hostAction(host, stateOf(hostFolder(stage, host.shortName)))?.kind === 'move')
      await allOrErrors(moved, (host) => putDown(hostFolder(stage, host.shortName), context.signal))
      await raise(context, stage, site.hosts)
    })
  },

  async status({ site }) {
    assertMachineCan()
    const stage = stageFolder(site)
    return new Map<string, HostPower>(site.hosts.map((host) => [host.name, powerOf(stateOf(hostFolder(stage, host.shortName)))]))
  },

  async halt(context) {
    assertMachineCan()
    const stage = stageFolder(context.site)
    await locked(context, stage, () => allOrErrors(hostsOnDisk(stage), (name) => putDown(hostFolder(stage, name), context.signal)))
  },

  async start(context) {
    assertMachineCan()
    const stage = stageFolder(context.site)
    const made = context.site.hosts.filter((host) => readHostRecord(hostFolder(stage, host.shortName)) !== undefined)
    if (made.length === 0) throw new HiveError('not-found', `stage ${context.site.stage} has no hosts yet`, { hint: 'deploy or build-infra makes them' })
    await locked(context, stage, () => raise(context, stage, made))
  },

  async destroy(context) {
    assertMachineCan()
    const stage = stageFolder(context.site)
    await locked(context, stage, async () => {
      await allOrErrors(hostsOnDisk(stage), (name) => remove(stage, hostFolder(stage, name)))
      await removeNetwork(stage)
      await removeFolder(stage.folder)
      forgetAllHostKeys(context.site.contextDir)
      rmSync(join(context.site.contextDir, 'netns'), { force: true })
    })
    rmSync(stage.lockFile, { force: true })
  },

  async power(context, name, action) {
    assertMachineCan()
    const stage = stageFolder(context.site)
    const host = hostNamed(context.site, name)
    await locked(context, stage, () => (action === 'off' ? killMachine(hostFolder(stage, host.shortName)) : raise(context, stage, [host])))
  },

  lose: takeAway,
  discard: takeAway,

  async cable(context, name, action) {
    assertMachineCan()
    const stage = stageFolder(context.site)
    await setCable(stage, hostFolder(stage, hostNamed(context.site, name).shortName), action === 'plug' ? 'up' : 'down')
  },

  sshTarget(site, name): SshTarget {
    const host = hostNamed(site, name)
    const ports = [...new Set([host.settings.sshdPort, firstSshPort])]
    const port = process.platform === 'linux' ? listeningPort(hostFolder(stageFolder(site), host.shortName), ports) : undefined
    const identityFile = identityFileOf(site.contextDir)
    return { host: name, address: host.address, port: port ?? firstSshPort, user: 'root', identityFile, password: undefined, sameMachine: true }
  },
}
