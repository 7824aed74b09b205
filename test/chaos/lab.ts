/** The site that a run breaks: three hive hosts, a repository server, mirrored volumes on the fake DRBD (test/fake-drbd), and its clients. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type FakeDrbd, startFakeDrbd } from '../fake-drbd/lab/start.ts'
import { LabSite } from '../lab/harness/lab-site.ts'
import { endMirrored, whole } from '../lab/harness/mirrored-volumes.ts'
import { nothingLeft } from '../lab/harness/plans.ts'
import type { ClientSettings } from './client.ts'
import { Client } from './clients.ts'
import { findingKey, findingsOf } from './doctor.ts'
import { chaosImages } from './images.ts'

const source = new URL('../lab/sites/chaos', import.meta.url).pathname
const services = 'inventory/services.yml'
const account = { user: 'records', password: 'of the records', database: 'records' }

/** The long run's second writer. */
const database = `  database:
    image: mariadb:1
    command: [/usr/local/sbin/mariadb-start]
    endpoint_mode: dnsrr
    stop_grace_period: 60s
    environment:
      MYSQL_DATABASE: ${account.database}
      MYSQL_USER: ${account.user}
      MYSQL_PASSWORD: ${account.password}
    healthcheck:
      test: [CMD, mariadb-admin, --socket=/run/mysqld/mysqld.sock, ping]
      interval: 3s
      timeout: 10s
      start_period: 120s
      retries: 5
    ports:
      - target_port: 3306
        published_port: 3306
        protocol: tcp
        mode: host
    volumes:
      - source: database_data
        target: /var/lib/mysql
        type: volume
        drbd:
          fstype: ext4
          size: 512M
`

export interface LabSettings {
  /** With MariaDB: its image has 370 MB, which all hosts have to get. */
  readonly database: boolean
  readonly say: (text: string) => void
}

export class ChaosLab {
  readonly site: LabSite
  readonly drbd: FakeDrbd
  readonly say: (text: string) => void
  /** In the order of their numbers. */
  readonly hives: readonly string[] = ['p-hive0.chaos', 'p-hive1.chaos', 'p-hive2.chaos']
  readonly repository = 'p-hive3.chaos'
  readonly volumes: readonly string[]
  readonly clients: Client[] = []
  /** Keys of what the doctor finds before anything is broken: what the machine is like, and what nobody has set up. Of volumes there is none. */
  known: ReadonlySet<string> = new Set()
  readonly #images: string
  readonly #withDatabase: boolean

  private constructor(site: LabSite, drbd: FakeDrbd, images: string, { database: withDatabase, say }: LabSettings) {
    this.site = site
    this.drbd = drbd
    this.say = say
    this.#images = images
    this.#withDatabase = withDatabase
    this.volumes = ['records_data', ...(withDatabase ? ['database_data'] : [])]
  }

  /** The site stands, all of it is whole, and its clients ask. */
  static async make(settings: LabSettings): Promise<ChaosLab> {
    const images = mkdtempSync(join(tmpdir(), 'hive-lab-images-'))
    process.once('exit', () => rmSync(images, { recursive: true, force: true }))
    await chaosImages(images, settings.database)
    const drbd = await startFakeDrbd()
    const site = new LabSite(source, { images, drbd })
    const lab = new ChaosLab(site, drbd, images, settings)
    try {
      if (settings.database) site.edit(services, (text) => text.replace('services:\n', `services:\n${database}`))
      await site.succeed(['deploy'], { deadline: 900_000 })
      for (const volume of lab.volumes) await whole(site, lab.hives, volume)
      await lab.#startClients()
      await nothingLeft(site)
      const findings = (await findingsOf(site)).filter(({ volume = '' }) => volume === '')
      for (const { title } of findings) settings.say(`known before: ${title}`)
      lab.known = new Set(findings.map(findingKey))
    } catch (error) {
      await lab.end().catch(() => undefined)
      throw error
    }
    return lab
  }

  async #startClients(): Promise<void> {
    const { hosts } = (await this.site.succeed(['inventory'])).result as { readonly hosts: readonly { readonly name: string; readonly address: string }[] }
    const addresses = this.hives.map((name) => hosts.find((host) => host.name === name)?.address ?? '')
    const settings: Readonly<Record<string, Omit<ClientSettings, 'addresses'>>> = {
      records: { kind: 'records', port: 7000, every: 200 },
      names: { kind: 'names', port: 53, every: 100, name: 'asked.example.test', answer: '192.0.2.7' },
      ...(this.#withDatabase ? { database: { kind: 'database', port: 3306, every: 200, account } } : {}),
    }
    for (const [name, given] of Object.entries(settings)) this.clients.push(new Client(this.site, name, { ...given, addresses }))
    await Promise.all(this.clients.map((client) => client.more(5)))
  }

  /** A change of the inventory that a deploy carries out: the name servers are started anew, one after the other. */
  change(): void {
    this.site.edit(services, (text) => text.replace(/EDITION: "(\d+)"/, (_, edition) => `EDITION: "${Number(edition) + 1}"`))
  }

  /** Takes it away, and rejects where anything of it is left on this machine. */
  async end(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.stop()))
    try {
      await endMirrored(this.site, this.drbd)
    } finally {
      rmSync(this.#images, { recursive: true, force: true })
    }
  }
}

export const shortName = (host: string): string => host.split('.')[0] ?? ''
