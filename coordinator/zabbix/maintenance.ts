/**
 * Zabbix is told of planned work: alerts about the hosts concerned are kept back while it lasts. Nothing waits for Zabbix for long, and no
 * work fails because it is away. A window ends by itself soon after a coordinator that died.
 */
import { messageOf } from '../../proto/errors.ts'
import type { SiteAgents } from '../client/site-agents.ts'
import type { Emit } from '../events.ts'
import type { Site } from '../inventory/site.ts'

/** Seconds; renewed at a third of it. */
const lease = 900
/** Milliseconds for Zabbix to answer. */
const patience = 10_000

type Watched = Pick<Site, 'hosts' | 'zabbix'>

export interface PlannedWork {
  readonly site: Watched
  readonly agents: Pick<SiteAgents, 'enrolled' | 'client'>
  /** Of the run: a window belongs to it. */
  readonly id: string
  /** For people: "deploy". */
  readonly title: string
  readonly emit: Emit
}

export class MaintenanceWindow {
  readonly #work: PlannedWork
  readonly #hosts = new Set<string>()
  #open = false
  /** Zabbix was asked, and there is none, or it did not answer: it is not asked again in this run. */
  #away = false
  #timer: NodeJS.Timeout | undefined

  constructor(work: PlannedWork) {
    this.#work = work
  }

  /** Never rejects. More hosts may come while it is open. */
  async cover(hosts: readonly string[], signal: AbortSignal): Promise<void> {
    const more = hosts.filter((host) => !this.#hosts.has(host))
    if (more.length === 0 || this.#away) return
    for (const host of more) this.#hosts.add(host)
    await this.#ask(signal)
    this.#timer ??= setInterval(() => void this.#ask(AbortSignal.timeout(patience)), (lease / 3) * 1000).unref()
  }

  /** Never rejects. Also where the run was cancelled. */
  async close(): Promise<void> {
    clearInterval(this.#timer)
    if (!this.#open) return
    const { id, emit } = this.#work
    try {
      const client = await this.#client()
      await client?.maintenance.closeMaintenance({ access: this.#access(), id }, { deadline: patience })
    } catch (error) {
      emit({ code: 'notice', message: `Zabbix keeps alerts back for up to ${lease / 60} minutes more: its window could not be closed (${messageOf(error)})` })
    }
  }

  async #ask(signal: AbortSignal): Promise<void> {
    const { id, title, emit } = this.#work
    try {
      const client = await this.#client()
      if (client === undefined) {
        this.#away = true
        return
      }
      const request = { access: this.#access(), id, title, hosts: [...this.#hosts], leaseSeconds: lease }
      const { hosts } = await client.maintenance.openMaintenance(request, { deadline: patience, signal })
      this.#open = hosts > 0
      this.#away = hosts === 0
    } catch (error) {
      if (signal.aborted || this.#open) return
      this.#away = true
      // A site that is being made has none yet; one that has it wants to know.
      if (!/does not answer|not running|does not take|has no|unimplemented/i.test(messageOf(error)))
        emit({ code: 'notice', message: `Zabbix was not told of this work: ${messageOf(error)}` })
    }
  }

  #access() {
    const { webPort, admin } = this.#work.site.zabbix
    return { port: webPort, ...admin }
  }

  async #client() {
    const { site, agents } = this.#work
    const repository = site.hosts.find(({ isRepository }) => isRepository)?.name
    if (repository === undefined || site.zabbix.wanted === false || !agents.enrolled(repository)) return undefined
    return agents.client(repository)
  }
}
