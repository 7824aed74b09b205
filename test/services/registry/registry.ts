/** The registry of Debian's package in place, on loopback, with the configuration that the agent writes but for its paths. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import bcrypt from 'bcryptjs'
import type { RegistryProcess } from '../../../agent/adapters/registry/process.ts'
import { registryPaths, renderRegistryConfig } from '../../../agent/adapters/registry-config.ts'
import { awaitRegistry, type RegistryAccess } from '../../../agent/adapters/registry-probe.ts'
import { run } from '../../../coordinator/providers/command.ts'
import { unpackedPackages } from '../../support/unpacked-packages.ts'
import { SiteCa } from '../../unit/agent-core/site-ca.ts'
import { type Child, startChild } from '../child.ts'
import { freePort } from '../free-port.ts'

export class Registry {
  readonly folder: string
  readonly paths: { readonly config: string; readonly storage: string }
  readonly caFile: string
  readonly access: RegistryAccess
  readonly server: string
  readonly #program: string
  readonly #trusts: string | undefined
  #child: Child | undefined

  private constructor(folder: string, program: string, access: RegistryAccess, trusts: string | undefined) {
    this.folder = folder
    this.#trusts = trusts
    this.#program = program
    this.access = access
    this.server = `127.0.0.1:${access.port}`
    this.caFile = join(folder, 'ca.pem')
    this.paths = { config: join(folder, 'etc/config.yml'), storage: join(folder, 'storage') }
  }

  /** Serving. `render`: another configuration; `trusts`: the file of a CA for what it asks itself. */
  static async start(signal: AbortSignal, render: (port: number) => string = renderRegistryConfig, trusts?: string): Promise<Registry> {
    const root = await unpackedPackages({ name: 'registry', packages: ['docker-registry'], useless: ['usr/share', 'lib'] }, signal)
    const folder = mkdtempSync(join(tmpdir(), 'hive-registry-'))
    const ca = await SiteCa.make('a registry')
    const { cert, key } = await ca.issue('', 'localhost')
    const access = { port: await freePort(), user: 'hive', password: 'it opens', ca: ca.pem }
    const registry = new Registry(folder, join(root, 'usr/bin/docker-registry'), access, trusts)
    mkdirSync(join(folder, 'etc/tls'), { recursive: true })
    mkdirSync(registry.paths.storage)
    writeFileSync(join(folder, 'etc/tls/cert.pem'), cert)
    writeFileSync(join(folder, 'etc/tls/key.pem'), key)
    // The cheapest hash: it is checked at each of some hundred requests.
    writeFileSync(join(folder, 'etc/htpasswd'), `${access.user}:${await bcrypt.hash(access.password, 4)}\n`)
    writeFileSync(registry.caFile, ca.pem)
    const config = render(access.port)
      .replace(/rootdirectory: .*/, `rootdirectory: ${registry.paths.storage}`)
      .replaceAll(registryPaths.folder, join(folder, 'etc'))
      .replace(/addr: .*/, `addr: ${registry.server}`)
    writeFileSync(registry.paths.config, config)
    await registry.up()
    return registry
  }

  async up(): Promise<void> {
    this.#child = startChild([this.#program, 'serve', this.paths.config], {
      log: join(this.folder, 'log'),
      ...(this.#trusts === undefined ? {} : { env: { SSL_CERT_FILE: this.#trusts } }),
    })
    const problem = await awaitRegistry(this.access, 20_000, AbortSignal.timeout(20_000))
    if (problem !== '') throw new Error(`the registry does not serve: ${problem}: ${this.log()}`)
  }

  async down(): Promise<void> {
    await this.#child?.stop()
    this.#child = undefined
  }

  log = (): string => readFileSync(join(this.folder, 'log'), 'utf8').slice(-2000)

  async end(): Promise<void> {
    await this.down()
    rmSync(this.folder, { recursive: true, force: true })
  }

  /** As the agent's own, for this process instead of a unit. */
  readonly process: RegistryProcess = {
    restart: async () => {
      await this.down()
      await this.up()
    },
    collect: async (signal) => {
      await run([this.#program, 'garbage-collect', this.paths.config], { signal, timeout: 60_000 })
    },
  }
}
