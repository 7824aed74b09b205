/** The hosts that everything is measured on: made once for a number of hosts, emptied between measurements. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type CommandOutcome, LabSite } from '../test/lab/harness/lab-site.ts'
import { tinyImageFolder } from '../test/lab/harness/tiny-image.ts'
import { contentOf, siteName } from './content.ts'
import { writeHive, writeServices } from './site.ts'

/** Milliseconds for one command of ours, and for emptying the hosts. */
const deadline = 900_000

/** Containers go in their own time; docker frees an overlay network a little after its last one. */
const removeServices = `docker service ls -q | xargs -r docker service rm >/dev/null`
const removeContainers = `
for i in $(seq 600); do [ -z "$(docker ps -q)" ] && break; sleep 0.5; done
docker ps -aq | xargs -r docker rm -f >/dev/null
docker volume ls -q | xargs -r docker volume rm >/dev/null`
const removeImages = `docker images -q | sort -u | xargs -r docker rmi -f >/dev/null`
const removeNetworks = `
names() { docker network ls --filter scope=swarm --format '{{.Name}}' | grep -v ingress; }
for i in $(seq 60); do [ -z "$(names)" ] && exit 0; names | xargs docker network rm >/dev/null 2>&1; sleep 0.5; done
exit 1`

export class BenchStage {
  readonly site: LabSite
  readonly hives: readonly string[]
  readonly repository: string

  constructor(hosts: number) {
    const source = mkdtempSync(join(tmpdir(), 'hive-bench-'))
    writeHive(source, hosts)
    writeServices(source, contentOf(1))
    this.site = new LabSite(source, { images: tinyImageFolder(), publicAuthorities: true })
    rmSync(source, { recursive: true })
    this.hives = Array.from({ length: hosts }, (_, index) => `p-hive${index}.${siteName}`)
    this.repository = `p-hive${hosts}.${siteName}`
  }

  get manager(): string {
    return this.hives[0] ?? ''
  }

  /** Hosts, their set-up, and the image in the site's registry. */
  async make(): Promise<void> {
    await this.command('deploy', '--only', 'build-infra,setup-hosts,build-images')
  }

  /** Runs hivecoord and answers what it said and how long it took, from the start of its process to its end. */
  command(...args: readonly string[]): Promise<CommandOutcome> {
    return this.site.succeed(args, { deadline })
  }

  /** Takes all services, volumes and networks of the site away; its images, too, where they are meant. */
  async empty({ images }: { readonly images: boolean }): Promise<void> {
    await this.site.onHost(this.manager, removeServices, deadline)
    await Promise.all(this.hives.map((host) => this.site.onHost(host, removeContainers, deadline)))
    if (images) await Promise.all(this.hives.map((host) => this.site.onHost(host, removeImages, deadline)))
    await this.site.onHost(this.manager, removeNetworks, deadline)
  }

  destroy(): Promise<void> {
    return this.site.destroy()
  }
}
