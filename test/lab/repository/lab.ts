/** One site with a repository server of its own, deployed once for all tests that look at that server. */
import { mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, eventuallyNone, patience } from '../harness/eventually.ts'
import { LabSite } from '../harness/lab-site.ts'
import { changedBy, openIn, plan } from '../harness/plans.ts'
import { taskHost } from '../harness/task-host.ts'
import { tinyImageFolder } from '../harness/tiny-image.ts'
import { zabbixImageFolder } from '../harness/zabbix-image.ts'

/** How the tests see it; the site stands from the suite's `before` on. */
export interface RepositoryLab {
  readonly site: LabSite
  /** Full names, the first hive first. */
  readonly hives: readonly [string, string, string]
  readonly repository: string
  /** By full name. */
  readonly addresses: Readonly<Record<string, string>>
  /** A shell command on a host, as root. `deadline` in milliseconds. */
  onHost(host: string, command: string, deadline?: number): Promise<string>
  /** The same on the repository server. */
  onRepository(command: string, deadline?: number): Promise<string>
  /** The host where a service's only task runs, as `manager` (default: the first hive) sees it. */
  hostOf(service: string, manager?: string): Promise<string | undefined>
  /** A deploy changes nothing, and a plan finds nothing open; tried until `deadline` (milliseconds, default 180 000), since tasks come and go. */
  nothingToDo(deadline?: number): Promise<void>
  /** Of each service as many tasks run as are wanted; waited for. */
  allRun(): Promise<void>
}

const source = new URL('../sites/repository', import.meta.url).pathname
const domain = 'depot'

/** Archives of base images beside the tiny one, by folder: whoever ships an image in this site adds the folder that it is made in. */
const imageFolders = async (): Promise<readonly string[]> => [tinyImageFolder(), await zabbixImageFolder(AbortSignal.timeout(600_000))]

export class DeployedLab implements RepositoryLab {
  readonly hives = [`p-hive0.${domain}`, `p-hive1.${domain}`, `p-hive2.${domain}`] as const
  readonly repository = `p-hive3.${domain}`
  readonly addresses: Readonly<Record<string, string>> = Object.fromEntries(
    [...this.hives, this.repository].map((host, index) => [host, `10.88.0.${4 + index}`]),
  )
  readonly #images = mkdtempSync(join(tmpdir(), 'hive-lab-images-'))
  /** Where backups go off site. */
  readonly #copies = mkdtempSync(join(tmpdir(), 'hive-lab-copies-'))
  #site: LabSite | undefined

  get site(): LabSite {
    if (this.#site === undefined) throw new Error('the site is made in the suite’s before')
    return this.#site
  }

  async begin(): Promise<void> {
    for (const folder of await imageFolders())
      for (const name of readdirSync(folder).filter((file) => file.endsWith('.tar'))) symlinkSync(join(folder, name), join(this.#images, name))
    this.#site = new LabSite(source, { images: this.#images, binds: [`${this.#copies}:/srv/copies`] })
    await this.site.succeed(['deploy'], { deadline: 600_000 })
  }

  async end(): Promise<void> {
    await this.#site?.destroy()
    for (const folder of [this.#images, this.#copies]) rmSync(folder, { recursive: true, force: true })
  }

  onHost(host: string, command: string, deadline?: number): Promise<string> {
    return this.site.onHost(host, command, deadline)
  }

  onRepository(command: string, deadline?: number): Promise<string> {
    return this.onHost(this.repository, command, deadline)
  }

  hostOf(service: string, manager: string = this.hives[0]): Promise<string | undefined> {
    return taskHost(this.site, service, manager)
  }

  async nothingToDo(deadline = patience): Promise<void> {
    let left: readonly string[] = []
    await eventually('nothing is left to do', deadline, async () => {
      left = openIn(await plan(this.site))
      // Between two tasks that are replaced all run for a moment.
      if (left.length === 0) left = changedBy(await this.site.succeed(['deploy']))
      return left.length === 0
    }).catch((error: unknown) => {
      throw new Error(`left to do: ${left.join('; ')}`, { cause: error })
    })
  }

  async allRun(): Promise<void> {
    interface Services {
      readonly services?: readonly { readonly name: string; readonly running: number; readonly desired: number }[]
    }
    await eventuallyNone('all services run', async () => {
      const { services = [] } = (await this.site.succeed(['status'])).result as Services
      return services.filter(({ running, desired }) => running < desired).map(({ name, running, desired }) => `${name} ${running} of ${desired}`)
    })
  }
}
