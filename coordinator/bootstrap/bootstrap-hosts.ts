/** The bootstrap: the only work over ssh. Puts the agent on all hosts that do not answer with this binary already. */
import { setTimeout as wait } from 'node:timers/promises'
import { HiveError } from '../../proto/errors.ts'
import type { Emit } from '../events.ts'
import type { Host, Site } from '../inventory/site.ts'
import { allOrErrors } from '../providers/all-or-errors.ts'
import type { Provider, SshTarget } from '../providers/provider.ts'
import type { AgentPackages } from './agent-packages.ts'
import { type HostSigner, installAgent } from './install-agent.ts'
import { onHost } from './ssh.ts'
import { writeSshConfig } from './ssh-config.ts'

/** Asks a host's agent which binary it runs; undefined where it does not answer, or may not be asked from here. */
export type Answers = (host: Host) => Promise<{ readonly binarySha256: string } | undefined>

export interface BootstrapInput {
  readonly site: Site
  readonly provider: Provider
  readonly pki: HostSigner
  readonly packages: AgentPackages
  readonly emit: Emit
  readonly signal: AbortSignal
  readonly answers: Answers
}

export type AgentNeed = 'install' | 'upgrade'

/** What each host's agent needs; hosts whose agent answers with the same binary are left out. */
export async function agentNeeds(hosts: readonly Host[], sha256: string, answers: Answers): Promise<ReadonlyMap<string, AgentNeed>> {
  const asked = await Promise.all(hosts.map(async (host) => ({ host, answer: await answers(host) })))
  return new Map(
    asked.flatMap(({ host, answer }): [string, AgentNeed][] => {
      if (answer === undefined) return [[host.name, 'install']]
      return answer.binarySha256 === sha256 ? [] : [[host.name, 'upgrade']]
    }),
  )
}

/**
 * In parallel over hosts, idempotent, resumable. Writes CONTEXT_DIR/ssh_config and known_hosts. Answers how many agents it
 * installed or upgraded. Throws one error that names every host that failed.
 */
export async function bootstrapHosts({ site, provider, pki, packages, emit, signal, answers }: BootstrapInput): Promise<number> {
  await pki.ensureCa()
  const needs = await agentNeeds(site.hosts, packages.binarySha256, answers)
  const targets = new Map(site.hosts.map(({ name }) => [name, provider.sshTarget(site, name)]))
  const writeConfig = (): void => writeSshConfig(site.contextDir, [...targets.values()])
  writeConfig()
  await allOrErrors(
    site.hosts.filter(({ name }) => needs.has(name)),
    async (host) => {
      const stepId = `bootstrap/agent@${host.name}`
      const title = needs.get(host.name) === 'upgrade' ? 'Upgrade the agent' : 'Install the agent'
      const about = { phase: 'build-infra', host: host.name, stepId, title } as const
      const started = performance.now()
      emit({ code: 'step.started', ...about })
      const finished = (result: 'changed' | 'failed', error?: unknown): void =>
        emit({
          code: 'step.finished',
          ...about,
          result,
          reason: needs.get(host.name) === 'upgrade' ? 'another version' : 'none answers',
          milliseconds: Math.round(performance.now() - started),
          error:
            error instanceof HiveError ? { code: error.code, message: error.message, hint: error.hint, host: host.name, stepId, log: error.log } : undefined,
        })
      try {
        const patience = pki.enrolled?.(host.name) === true ? knownHostPatience : newHostPatience
        const target = await workingTarget(host, provider.sshTarget(site, host.name), site.contextDir, signal, patience)
        targets.set(host.name, target)
        const say = (line: string): void => emit({ code: 'step.log', phase: 'build-infra', host: host.name, stepId, line })
        await installAgent({ host, target, contextDir: site.contextDir, pki, packages, answers: needs.get(host.name) === 'upgrade', signal, say })
        finished('changed')
      } catch (error) {
        finished('failed', error)
        throw error
      }
    },
  )
  writeConfig()
  return needs.size
}

/** Milliseconds in which a host that is still booting for the first time comes to answer ssh. */
const newHostPatience = 120_000
/** The same for a host that had an agent: it is more likely cut off than booting, and the others wait for this answer. */
const knownHostPatience = 10_000

/**
 * The log-in that works: the provider's, else the admin user's (setup-hosts may have closed root's), on the first port
 * or on the one setup-hosts sets. For `patience` milliseconds a host that does not answer at all is tried again.
 */
export async function workingTarget(
  host: Host,
  target: SshTarget,
  contextDir: string,
  signal: AbortSignal,
  patience: number = newHostPatience,
  tries: (candidate: SshTarget) => Promise<unknown> = (candidate) => onHost(candidate, 'true', { contextDir, signal }),
): Promise<SshTarget> {
  const users = [...new Set([target.user, host.settings.admin])]
  const ports = [...new Set([target.port, host.settings.sshdPort])]
  const end = performance.now() + patience
  for (;;) {
    const failures: unknown[] = []
    for (const port of ports) {
      for (const user of users) {
        const candidate: SshTarget = { ...target, user, port }
        try {
          await tries(candidate)
          return candidate
        } catch (error) {
          signal.throwIfAborted()
          failures.push(error)
          // Where no sshd answers, another user has no better luck.
          if (unanswered(error)) break
        }
      }
    }
    // A host that refused somebody is up, and says more than the port where nobody listens.
    const refusal = failures.find((error) => !unanswered(error))
    if (refusal !== undefined || performance.now() >= end) throw refusal ?? failures[0]
    await wait(300, undefined, { signal })
  }
}

const unanswered = (error: unknown): boolean => error instanceof HiveError && error.code === 'unreachable'
