/** Three hive hosts with mirrored volumes, on the lab's fake DRBD (test/fake-drbd): made for a measurement and taken away after it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type FakeDrbd, startFakeDrbd } from '../test/fake-drbd/lab/start.ts'
import { LabSite } from '../test/lab/harness/lab-site.ts'
import { tinyImageFolder } from '../test/lab/harness/tiny-image.ts'
import { siteName } from './content.ts'

const hosts = 3

export class MirroredStage {
  readonly site: LabSite
  readonly drbd: FakeDrbd
  readonly hives: readonly string[] = Array.from({ length: hosts }, (_, index) => `p-hive${index}.${siteName}`)

  private constructor(site: LabSite, drbd: FakeDrbd) {
    this.site = site
    this.drbd = drbd
  }

  /** Hosts, their set-up, and their images. `services`: as in inventory/services.yml. */
  static async make(services: Readonly<Record<string, unknown>>): Promise<MirroredStage> {
    const drbd = await startFakeDrbd()
    const source = mkdtempSync(join(tmpdir(), 'hive-bench-'))
    const write = (name: string, value: unknown): void => writeFileSync(join(source, 'inventory', name), stringify(value))
    mkdirSync(join(source, 'inventory'))
    const stage = { provider: 'nspawn', separate_repository: false, cidr: '10.90.0.0/24', internal_cidr: '172.31.252.0/22', number_of_hosts: hosts }
    write('hive.yml', { plugin: 'hive_inventory', name: siteName, stages: { private: stage } })
    write('services.yml', { plugin: 'hive_services', services })
    const made = new MirroredStage(new LabSite(source, { images: tinyImageFolder(), drbd, publicAuthorities: true }), drbd)
    rmSync(source, { recursive: true })
    try {
      await made.site.succeed(['deploy', '--only', 'build-infra,setup-hosts,build-images'])
    } catch (error) {
      await made.destroy()
      throw error
    }
    return made
  }

  async destroy(): Promise<void> {
    await this.site.destroy()
    await this.drbd.stop()
  }
}
