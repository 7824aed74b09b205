/** Provider `aws`: the hosts of a stage as EC2 instances in a network of their own. Everything is found again by tags. */
import { readFileSync } from 'node:fs'
import { HiveError } from '../../../proto/errors.ts'
import { forgetAllHostKeys, forgetHostKeys } from '../../bootstrap/known-hosts.ts'
import { recordedAddress } from '../../bootstrap/ssh-config.ts'
import { ensureStageKey, identityFileOf } from '../../bootstrap/stage-key.ts'
import type { Site } from '../../inventory/site.ts'
import { hostNamed } from '../host-named.ts'
import type { HostPower, Provider, ProviderContext, SshTarget } from '../provider.ts'
import { type AwsApi, openAws } from './api.ts'
import { applyAws } from './apply.ts'
import type { MadeHost } from './apply-hosts.ts'
import { destroyAws } from './destroy.ts'
import { discardInstance } from './discard.ts'
import type { EfsFound } from './efs-plan.ts'
import { awaitHost } from './first-contact.ts'
import { imagesKey } from './image.ts'
import { InstanceWatch } from './instance-watch.ts'
import { fingerprintOf } from './key-fingerprint.ts'
import { type AwsFound, liveInstance, observe, observeInstances } from './observe.ts'
import { planAws, powerOf } from './plan.ts'
import { addressesOf } from './plan-host.ts'
import { destroyFileSystem, planFileSystem } from './stage-file-system.ts'
import { type AwsWant, awsWant } from './want.ts'

/** sshd of a new instance; setup-hosts may give it another port. */
const firstSshPort = 22

/** The stage's public key where it exists already. */
const publicKeyIn = (contextDir: string): string | undefined => {
  try {
    return readFileSync(`${identityFileOf(contextDir)}.pub`, 'utf8').trim()
  } catch {
    return undefined
  }
}

/** One a command: what a plan saw is what the apply after it starts from. */
export function awsProvider(): Provider {
  /** Public addresses as this command learnt them; else those that the last one wrote to ssh_config. */
  const addresses = new Map<string, string>()
  let opened: Promise<AwsApi> | undefined
  let seen: { readonly found: AwsFound; readonly fileSystem: EfsFound | undefined } | undefined

  const open = async (site: Site): Promise<{ readonly api: AwsApi; readonly want: AwsWant }> => {
    const want = awsWant(site)
    opened ??= openAws(site, want.region)
    return { api: await opened, want }
  }
  const look = async ({ site, signal }: ProviderContext): Promise<{ readonly api: AwsApi; readonly want: AwsWant; readonly found: AwsFound }> => {
    const { api, want } = await open(site)
    const found = await observe(api, want, signal)
    remember(want, found)
    return { api, want, found }
  }
  const remember = (want: AwsWant, found: AwsFound): void => {
    for (const host of want.hosts) {
      const publicIp = host.publishedIp ?? addressesOf(found, host)[0]?.publicIp
      if (publicIp !== undefined) addresses.set(host.name, publicIp)
    }
  }
  /** Never a private address: seen from here it is somebody else's. */
  const targetOf = (site: Site, name: string): SshTarget => {
    const { settings } = hostNamed(site, name)
    const recorded = recordedAddress(site.contextDir, name)
    const address = addresses.get(name) ?? recorded?.address
    if (address === undefined)
      throw new HiveError('unreachable', `${name} has no public address that is known here`, { host: name, hint: 'build-infra finds it, or gives it one' })
    return {
      host: name,
      address,
      port: recorded?.port ?? firstSshPort,
      user: settings.admin,
      identityFile: identityFileOf(site.contextDir),
      password: undefined,
    }
  }
  /** Starts or stops all instances at once and waits for them. */
  const switchAll = async (context: ProviderContext, wanted: 'running' | 'stopped'): Promise<readonly string[]> => {
    const { api, want } = await open(context.site)
    const { signal, emit } = context
    const instances = (await observeInstances(api, want, signal)).filter(({ state }) => state !== 'shutting-down')
    if (instances.length === 0) throw new HiveError('not-found', `stage ${context.site.stage} has no hosts yet`, { hint: 'deploy or build-infra makes them' })
    const watch = new InstanceWatch(api, signal)
    // One that still stops can't be started.
    if (wanted === 'running') await Promise.all(instances.filter(({ state }) => state === 'stopping').map(({ id, name }) => watch.until(id, 'stopped', name)))
    const changing = instances.filter(({ state }) =>
      wanted === 'running' ? state === 'stopped' || state === 'stopping' : state === 'running' || state === 'pending',
    )
    if (changing.length > 0) {
      const names = changing.map(({ name }) => name).join(', ')
      emit({ code: 'notice', message: `${wanted === 'running' ? 'starting' : 'stopping'} ${names}` })
      const InstanceIds = changing.map(({ id }) => id)
      await (wanted === 'running'
        ? api.call('StartInstances', { InstanceIds }, { what: names }, signal)
        : api.call('StopInstances', { InstanceIds }, { what: names }, signal))
    }
    await Promise.all(instances.map(({ id, name }) => watch.until(id, wanted, name)))
    return changing.map(({ name }) => name)
  }

  return {
    name: 'aws',
    agentsOverSsh: true,

    async plan(context) {
      const { api, want, found } = await look(context)
      const fileSystem = await planFileSystem(api, want, found, context.signal)
      seen = { found, fileSystem: fileSystem.found }
      const key = publicKeyIn(context.site.contextDir)
      const { actions, notices } = planAws(want, found, key === undefined ? undefined : fingerprintOf(key))
      for (const message of [...notices, ...fileSystem.notices]) context.emit({ code: 'notice', message })
      return [...actions, ...fileSystem.actions]
    },

    async apply(context, actions) {
      const { site, state, emit, signal } = context
      const { api, want } = await open(site)
      if (seen === undefined) throw new HiveError('internal', 'nothing was planned')
      const { found, fileSystem } = seen
      seen = undefined
      const { publicKey } = await ensureStageKey(site.contextDir, site.name)
      const contact = async (made: MadeHost): Promise<void> => {
        addresses.set(made.name, made.publicIp)
        if (made.isNew) await forgetHostKeys(site.contextDir, [made.publicIp])
        if (made.boots) await awaitHost(made, targetOf(site, made.name), { api, contextDir: site.contextDir, signal })
      }
      const say = (message: string, host?: string): void => emit({ code: 'notice', message: host === undefined ? message : `${host}: ${message}` })
      await applyAws({ api, want, found, actions, state, publicKey, fileSystem, emit, signal, say, made: contact })
    },

    async status(context) {
      const { api, want } = await open(context.site)
      const instances = await observeInstances(api, want, context.signal)
      return new Map<string, HostPower>(want.hosts.map(({ name }) => [name, powerOf(liveInstance({ instances }, name))]))
    },

    async halt(context) {
      await switchAll(context, 'stopped')
    },

    async start(context) {
      const started = new Set(await switchAll(context, 'running'))
      const { api, found } = await look(context)
      const { site, signal } = context
      await Promise.all(
        site.hosts
          .filter(({ name }) => started.has(name))
          .map(({ name }) => {
            const instanceId = liveInstance(found, name)?.id ?? ''
            return awaitHost({ name, instanceId, publicIp: addresses.get(name) ?? '', boots: true, isNew: false }, targetOf(site, name), {
              api,
              contextDir: site.contextDir,
              signal,
            })
          }),
      )
    },

    async destroy(context) {
      const { api, want, found } = await look(context)
      const { site, state, emit, signal } = context
      await destroyAws({
        api,
        want,
        found,
        signal,
        say: (message) => emit({ code: 'notice', message }),
        fileSystems: () => destroyFileSystem(api, want, found, state, emit, signal),
      })
      // The hosts' keys went with them, and the next ones are made from the newest image again.
      forgetAllHostKeys(site.contextDir)
      state.set(imagesKey, {})
      addresses.clear()
    },

    async discard(context, name) {
      const { api, want, found } = await look(context)
      const { signal, emit } = context
      const say = (message: string): void => emit({ code: 'notice', message: `${name}: ${message}` })
      await discardInstance({ api, want, found, signal, say }, name)
      addresses.delete(name)
    },

    sshTarget: targetOf,
  }
}
