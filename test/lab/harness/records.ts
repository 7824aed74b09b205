/** A service that writes numbered records to its volume and tells each that is on the disk: what it told must never be lost. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { eventually, patience } from './eventually.ts'
import type { LabSite } from './lab-site.ts'
import { taskHost } from './task-host.ts'

export class Records {
  readonly #site: LabSite
  readonly #service: string
  readonly #file: string
  readonly #followers = new Set<ChildProcess>()
  /** The highest number that the service told. */
  acknowledged = 0

  constructor(site: LabSite, service: string, volume: string) {
    this.#site = site
    this.#service = service
    this.#file = `/var/lib/docker/volumes/${volume}/_data/records`
  }

  /** The host where its task runs, as a manager sees it. */
  hostSeenBy(manager: string): Promise<string | undefined> {
    return taskHost(this.#site, this.#service, manager)
  }

  /** Waits until it writes on a host other than `old`, all that it told before is there, and listens to it there. Answers the host. */
  async writesElsewhere(manager: string, old?: string): Promise<string> {
    const before = this.acknowledged
    const host = await eventually(`${this.#service} writes on another host`, patience, async () => {
      const found = await this.hostSeenBy(manager)
      if (found === undefined || found === old) return undefined
      return (await this.#read(found)).length > before ? found : undefined
    })
    await this.assertWhole(host)
    await this.listen(host)
    return host
  }

  /** Takes note of what the service tells on this host, until it is there no more. */
  async listen(host: string): Promise<void> {
    const ssh = ['ssh', '-F', join(this.#site.contextDir, 'ssh_config'), host]
    const container = `$(docker ps -q --filter label=com.docker.swarm.service.name=${this.#service} | head -1)`
    const namespace = readFileSync(join(this.#site.contextDir, 'netns'), 'utf8').trim()
    const child = spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', ...ssh, `docker logs --follow ${container}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    this.#followers.add(child)
    child.on('close', () => this.#followers.delete(child))
    child.on('error', () => undefined)
    const before = this.acknowledged
    createInterface(child.stdout).on('line', (line) => {
      if (/^\d+$/.test(line)) this.acknowledged = Math.max(this.acknowledged, Number(line))
    })
    await eventually(`${this.#service} tells of records on ${host}`, patience, async () => this.acknowledged > before)
  }

  /** Every number from 1 on is in the file once, up to the last that was told. */
  async assertWhole(host: string): Promise<void> {
    const told = this.acknowledged
    const numbers = await this.#read(host)
    const wrong = numbers.findIndex((number, index) => number !== index + 1)
    assert.equal(wrong, -1, `${this.#file} on ${host} has ${numbers.slice(Math.max(0, wrong - 2), wrong + 3).join(', ')} in its line ${wrong + 1}`)
    assert.ok(numbers.length >= told, `${this.#file} on ${host} ends with ${numbers.length}, told was ${told}`)
  }

  async #read(host: string): Promise<readonly number[]> {
    return (await this.#site.onHost(host, `cat ${this.#file}`))
      .split('\n')
      .filter((line) => line !== '')
      .map(Number)
  }

  /** Listens no longer. */
  stop(): void {
    for (const child of this.#followers) child.kill('SIGKILL')
  }
}
