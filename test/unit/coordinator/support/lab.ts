/** Real agents in this process, on loopback, with executors that only remember what was done. */
import 'reflect-metadata'
import { webcrypto } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import * as x509 from '@peculiar/x509'
import { pino } from 'pino'
import type { Step } from '#gen/hive/v1/step.ts'
import { type Agent, startAgent } from '../../../../agent/server/agent.ts'
import { blocked, change, type Executor, okWith, type StepContext } from '../../../../agent/steps/executor.ts'
import { SiteAgents } from '../../../../coordinator/client/site-agents.ts'
import type { HiveEvent } from '../../../../coordinator/events.ts'
import type { Host, Site } from '../../../../coordinator/inventory/site.ts'
import { type Phase, step } from '../../../../coordinator/phases/phase.ts'
import { StagePki } from '../../../../coordinator/pki/stage-pki.ts'
import type { DeployInput } from '../../../../coordinator/run/deploy.ts'
import { openStageState } from '../../../../coordinator/run/stage-state.ts'
import { tempFolder } from './temp.ts'

/** What the scripted executor does; things are named HOST:NAME. */
export interface Script {
  readonly done: Set<string>
  readonly order: string[]
  readonly failing: Set<string>
  readonly blocking: Set<string>
  readonly destroying: Set<string>
  /** What is told of things that are done. */
  readonly notices: Map<string, readonly string[]>
  /** Awaited before a thing is done. */
  readonly gates: Map<string, Promise<void>>
  /** Told when a thing is begun. */
  begun(thing: string): void
}

const executor = <S>(script: Script, nameOf: (spec: S) => string): Executor<S> => ({
  check: async (spec, { hostName }) => {
    const thing = `${hostName}:${nameOf(spec)}`
    if (script.blocking.has(thing)) return blocked('in doubt', 'decide')
    return script.done.has(thing) ? okWith(script.notices.get(thing) ?? []) : change('not there', '', nameOf(spec), script.destroying.has(thing) ? 4 : 0)
  },
  apply: async (spec, { hostName, log, signal }: StepContext) => {
    const thing = `${hostName}:${nameOf(spec)}`
    script.begun(thing)
    log(`doing ${thing}`)
    const aborted = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }))
    aborted.catch(() => undefined)
    await Promise.race([script.gates.get(thing), aborted])
    if (script.failing.has(thing)) throw new Error(`no ${thing} today`)
    script.done.add(thing)
    script.order.push(thing)
  },
})

export interface Lab {
  readonly site: Site
  readonly pki: StagePki
  readonly agents: SiteAgents
  readonly script: Script
  readonly events: HiveEvent[]
  readonly running: Map<string, Agent>
  /** Stops a host's agent and starts it as one of another version. */
  restart(host: string, version: string): Promise<void>
  input(phases: readonly Phase[], more?: Partial<DeployInput>): DeployInput
  /** Another coordinator's view of the same stage. */
  otherAgents(pki?: StagePki): SiteAgents
}

/** A step that does the thing `name` on a host. */
export const thing = (name: string, host: string, needs: readonly string[] = []): Step =>
  step('setup-hosts', name, host, `do ${name}`, 'ensureTimezone', { timezone: name }, { needs })

export const phaseOf = (steps: readonly Step[], more: Partial<Phase> = {}): Phase => ({
  name: 'setup-hosts',
  steps: () => ({ steps, blobs: new Map(), notices: [] }),
  ...more,
})

/** Hosts h0, h1 … are hives, the last one of `names` is the repository server. All stops with the test. `versions`: what the agents tell. */
export async function startLab(t: TestContext, names: readonly string[], versions: readonly string[] = []): Promise<Lab> {
  const contextDir = tempFolder(t)
  const pki = new StagePki({ contextDir, siteName: 'test' })
  const script: Script = {
    done: new Set(),
    order: [],
    failing: new Set(),
    blocking: new Set(),
    destroying: new Set(),
    notices: new Map(),
    gates: new Map(),
    begun: () => undefined,
  }
  const running = new Map<string, Agent>()
  const restarts = new Map<string, (version: string) => Promise<void>>()
  const hosts: Host[] = []
  for (const [index, name] of names.entries()) {
    const folder = join(contextDir, 'hosts', name)
    const keys = await webcrypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify'])
    const csr = await x509.Pkcs10CertificateRequestGenerator.create({ name: `CN=${name}`, keys, signingAlgorithm: { name: 'ECDSA', hash: 'SHA-256' } })
    const certificate = await pki.signHostCertificate(csr.toString('pem'), { name, dns: [name], addresses: [] })
    mkdirSync(join(folder, 'pki'), { recursive: true })
    writeFileSync(join(folder, 'pki/ca.pem'), pki.caPem)
    writeFileSync(join(folder, 'pki/cert.pem'), certificate)
    writeFileSync(join(folder, 'pki/key.pem'), x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY'))
    const start = async (port: number, version: string | undefined): Promise<Agent> => {
      const agent = await startAgent({
        config: { host: name, address: '127.0.0.1', port, stateDir: join(folder, 'state'), pkiDir: join(folder, 'pki') },
        executors: {
          ensureTimezone: executor(script, ({ timezone }) => timezone),
          ensureUpdated: executor(script, ({ listsOnly, kernel, needsDrbd }) =>
            listsOnly ? 'lists' : kernel ? `kernel${needsDrbd ? ' with DRBD' : ''}` : 'packages',
          ),
          removeMirroredVolume: executor(script, ({ name }) => `remove ${name}`),
        },
        log: pino({ level: 'silent' }),
        listen: '127.0.0.1',
        ...(version === undefined ? {} : { version }),
      })
      running.set(name, agent)
      return agent
    }
    const agent = await start(0, versions[index])
    restarts.set(name, async (version) => {
      await running.get(name)?.stop()
      await start(agent.port, version)
    })
    const isRepository = index === names.length - 1
    hosts.push({
      name,
      shortName: name,
      address: '127.0.0.1',
      isHive: !isRepository,
      isRepository,
      isFirstHive: index === 0,
      settings: { agentPort: agent.port, swarmMode: 'manager', mirroredPools: [] as Host['settings']['mirroredPools'] },
    } as Host)
  }
  const site = {
    name: 'test',
    stage: 'private',
    contextDir,
    hosts,
    logs: { port: 10_514, relayPort: 20_514, tls: false, group: 'zabbix', retentionDays: 28, spoolMb: 1024 },
    registry: {
      host: 'h',
      port: 5000,
      user: 'hive',
      password: '',
      image: 'registry:2',
      inContainer: false,
      keep: 5,
      upkeepAt: '03:30',
      cache: undefined,
      pulledFrom: [],
    },
    externalRegistries: [],
  } as unknown as Site
  const otherAgents = (own = pki) => {
    const made = new SiteAgents({ hosts, credentials: () => own.adminCredentials(), enrolled: (host) => own.enrolled(host) })
    t.after(() => made.close())
    return made
  }
  const agents = otherAgents()
  t.after(async () => {
    await Promise.all([...running.values()].map((agent) => agent.stop()))
  })
  const events: HiveEvent[] = []
  return {
    site,
    pki,
    agents,
    script,
    events,
    running,
    restart: async (host, version) => restarts.get(host)?.(version),
    otherAgents,
    input: (phases, more = {}) => ({
      site,
      agents,
      state: openStageState(contextDir),
      infrastructure: { absent: async () => new Set(), plan: async () => ({ steps: [], notices: [] }), apply: async () => 0 },
      phases,
      limit: { hosts: undefined, services: undefined, volumes: undefined },
      emit: (event) => events.push(event),
      signal: new AbortController().signal,
      refreshImages: false,
      reapplyRoles: false,
      now: () => new Date(),
      command: 'deploy',
      allow: new Set(),
      patience: { unreachableFor: 1000, firstRetry: 20, longestRetry: 100, silence: 15_000 },
      ...more,
    }),
  }
}
