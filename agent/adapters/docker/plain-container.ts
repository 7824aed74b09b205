/** Plain containers of this host's docker, which starts them again by itself; each knows what it was made from. */
import { createHash } from 'node:crypto'
import type { EnsureContainer } from '#gen/hive/v1/steps_repository.ts'
import { HiveError } from '../../../proto/errors.ts'
import { dockerDelete, dockerGet, dockerHijack, dockerPost, orUndefined } from '../docker.ts'
import type { Network } from './api-types.ts'
import { containerLogs } from './logs.ts'
import { createNetwork, inspectNetwork, networkDifferences, removeNetwork } from './networks.ts'
import { waitFor } from './wait.ts'

/** On the container: digests of the parts that it was made from. Digests, since variables have passwords. */
const label = 'hive.container'

export interface PlainContainer {
  readonly id: string
  readonly running: boolean
  /** What docker says of its last end, where it does not run. */
  readonly ended: string
  readonly imageId: string
  readonly parts: Readonly<Record<string, string>>
  /** Names of the networks it is on. */
  readonly networks: readonly string[]
}

interface Inspected {
  readonly Id: string
  readonly Image?: string
  readonly Config?: { readonly Labels?: Readonly<Record<string, string>> | null }
  readonly State?: { readonly Running?: boolean; readonly ExitCode?: number; readonly Error?: string; readonly Status?: string }
  readonly NetworkSettings?: { readonly Networks?: Readonly<Record<string, unknown>> | null }
}

/** undefined where there is none. Throws 'unreachable' where docker does not run. */
export async function findContainer(name: string, signal: AbortSignal): Promise<PlainContainer | undefined> {
  const found = await orUndefined(dockerGet<Inspected>(`/containers/${encodeURIComponent(name)}/json`, { signal }))
  if (found === undefined) return undefined
  const { State } = found
  return {
    id: found.Id,
    running: State?.Running === true && State.Status !== 'restarting',
    ended: State?.Error || `exit code ${State?.ExitCode ?? 'unknown'}`,
    imageId: found.Image ?? '',
    parts: partsOf(found.Config?.Labels?.[label]),
    networks: Object.keys(found.NetworkSettings?.Networks ?? {}),
  }
}

function partsOf(text: string | undefined): Readonly<Record<string, string>> {
  try {
    const parsed: unknown = JSON.parse(text ?? '{}')
    return typeof parsed === 'object' && parsed !== null ? (parsed as Record<string, string>) : {}
  } catch {
    return {}
  }
}

/** Everything that can only be changed by making the container anew, by names for people. Pure. */
export function wantedParts(spec: EnsureContainer): Readonly<Record<string, string>> {
  const parts: Record<string, unknown> = {
    image: spec.image?.reference,
    variables: spec.variables.map(({ name, value }) => [name, value]).sort(),
    volumes: spec.volumes.map(({ source, target, readOnly }) => [target, source, readOnly]).sort(),
    ports: spec.ports.map(({ address, published, target, protocol }) => [published, target, protocol, address]).sort(),
    network: spec.network,
    command: spec.command,
    limits: [spec.restart, spec.stopSeconds, String(spec.memoryBytes)],
  }
  return Object.fromEntries(Object.entries(parts).map(([name, value]) => [name, digest(value)]))
}

const digest = (value: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify(value ?? null))
    .digest('hex')
    .slice(0, 16)

/** Names of the parts that differ. Pure. */
export const differingParts = (spec: EnsureContainer, container: Pick<PlainContainer, 'parts'>): readonly string[] =>
  Object.entries(wantedParts(spec))
    .filter(([name, value]) => container.parts[name] !== value)
    .map(([name]) => name)

/** The body of docker's create request. Pure. */
export function containerBody(spec: EnsureContainer) {
  const bindings: Record<string, { HostIp: string; HostPort: string }[]> = {}
  for (const { address, published, target, protocol } of spec.ports) {
    const name = `${target}/${protocol}`
    bindings[name] = [...(bindings[name] ?? []), { HostIp: address, HostPort: String(published) }]
  }
  const { network } = spec
  const endpoint = {
    Aliases: [...(network?.aliases ?? [])],
    ...(network === undefined || network.address === '' ? {} : { IPAMConfig: { IPv4Address: network.address } }),
  }
  return {
    Image: spec.image?.reference ?? '',
    Hostname: spec.name,
    Env: spec.variables.map(({ name, value }) => `${name}=${value}`),
    ...(spec.command.length === 0 ? {} : { Cmd: spec.command }),
    Labels: { [label]: JSON.stringify(wantedParts(spec)) },
    ExposedPorts: Object.fromEntries(Object.keys(bindings).map((name) => [name, {}])),
    ...(spec.stopSeconds === 0 ? {} : { StopTimeout: spec.stopSeconds }),
    HostConfig: {
      RestartPolicy: { Name: spec.restart === '' ? 'no' : spec.restart },
      Mounts: spec.volumes.map(({ source, target, readOnly }) => ({
        Type: source.startsWith('/') ? 'bind' : 'volume',
        Source: source,
        Target: target,
        ReadOnly: readOnly,
      })),
      PortBindings: bindings,
      LogConfig: { Type: 'json-file', Config: { 'max-size': '10m', 'max-file': '3' } },
      ...(spec.memoryBytes === 0n ? {} : { Memory: Number(spec.memoryBytes) }),
      ...(network === undefined ? {} : { NetworkMode: network.name }),
    },
    ...(network === undefined ? {} : { NetworkingConfig: { EndpointsConfig: { [network.name]: endpoint } } }),
  }
}

const networkSpec = ({ name, subnet, gateway }: NonNullable<EnsureContainer['network']>) => ({
  name,
  driver: 'bridge',
  attachable: false,
  ingress: false,
  ipam: subnet === '' ? [] : [{ subnet, gateway, ipRange: '' }],
  ipamDriver: '',
  options: {},
  ipamOptions: {},
  ipv6: false,
  hostLocal: true,
})

const bridgeDiffers = (spec: NonNullable<EnsureContainer['network']>, network: Network): boolean => networkDifferences(networkSpec(spec), network).length > 0

/** Whether the container's network is there as asked for. */
export async function networkFits({ network }: EnsureContainer, signal: AbortSignal): Promise<boolean> {
  if (network === undefined) return true
  const found = await inspectNetwork(network.name, signal)
  return found !== undefined && !bridgeDiffers(network, found)
}

/** Made where it is missing. One that differs goes first, and the containers on it: they are made anew by their own steps. */
export async function makeNetwork({ network }: EnsureContainer, signal: AbortSignal, log: (line: string) => void): Promise<void> {
  if (network === undefined) return
  const found = await inspectNetwork(network.name, signal)
  if (found !== undefined && !bridgeDiffers(network, found)) return
  if (found !== undefined) {
    log(`making the network ${network.name} anew`)
    for (const id of Object.keys(found.Containers ?? {}))
      await orUndefined(dockerPost(`/networks/${found.Id}/disconnect`, { body: { Container: id, Force: true }, signal }))
    await removeNetwork(found.Id, signal)
  }
  await createNetwork(networkSpec(network), signal)
}

/** In place of the one that is there. Its named volumes stay as they are. */
export async function startContainer(spec: EnsureContainer, signal: AbortSignal): Promise<void> {
  await removeContainer(spec, signal)
  const { Id } = await dockerPost<{ readonly Id: string }>('/containers/create', { query: { name: spec.name }, body: containerBody(spec), signal })
  await dockerPost(`/containers/${Id}/start`, { signal, timeout: 60_000 })
}

async function removeContainer({ name, stopSeconds }: EnsureContainer, signal: AbortSignal): Promise<void> {
  const path = `/containers/${encodeURIComponent(name)}`
  const patience = stopSeconds === 0 ? 10 : stopSeconds
  await orUndefined(dockerPost(`${path}/stop`, { query: { t: String(patience) }, signal, timeout: (patience + 30) * 1000 }))
  await orUndefined(dockerDelete(path, { query: { force: 'true' }, signal, timeout: 60_000 }))
}

/** Resolves when the container's own command says that it is ready. Throws 'not-converged' with its last lines. */
export async function awaitReady(spec: EnsureContainer, signal: AbortSignal): Promise<void> {
  const seconds = spec.readySeconds === 0 ? 60 : spec.readySeconds
  try {
    await waitFor(`${spec.name} to be ready`, async () => ((await whyNotReady(spec, signal)) === '' ? true : undefined), {
      signal,
      timeout: seconds * 1000,
      every: 500,
    })
  } catch (error) {
    if (!(error instanceof HiveError) || error.code !== 'timeout') throw error
    const log = await lastContainerLines(spec.name, signal)
    throw new HiveError('not-converged', `${spec.name}: ${await whyNotReady(spec, signal)}, ${seconds} s after it was started`, { log })
  }
}

/** "" where it is ready. */
export async function whyNotReady(spec: EnsureContainer, signal: AbortSignal): Promise<string> {
  const container = await findContainer(spec.name, signal)
  if (container === undefined) return 'it is not there'
  if (!container.running) return `it does not run (${container.ended})`
  if (spec.readyCommand.length === 0) return ''
  const code = await execute(container.id, spec.readyCommand, signal).catch((error: unknown) => {
    if (error instanceof HiveError && (error.code === 'conflict' || error.code === 'not-found')) return -1
    throw error
  })
  return code === 0 ? '' : 'it is not ready yet'
}

/** Its exit code; what it writes is lost. */
async function execute(container: string, command: readonly string[], signal: AbortSignal): Promise<number> {
  const body = { AttachStdout: true, AttachStderr: true, Cmd: command }
  const { Id } = await dockerPost<{ readonly Id: string }>(`/containers/${container}/exec`, { body, signal })
  const stream = await dockerHijack(`/exec/${Id}/start`, { body: { Detach: false, Tty: false }, signal })
  await new Promise<void>((resolve) => {
    stream
      .once('end', resolve)
      .once('close', resolve)
      .once('error', () => resolve())
    stream.resume()
  })
  const { ExitCode } = await dockerGet<{ readonly ExitCode: number | null }>(`/exec/${Id}/json`, { signal })
  return ExitCode ?? -1
}

async function lastContainerLines(name: string, signal: AbortSignal): Promise<string[]> {
  const lines: string[] = []
  await containerLogs(name, { tail: 10, signal }, ({ line }) => lines.push(line)).catch(() => undefined)
  return lines
}

interface WithPorts {
  readonly State?: { readonly Running?: boolean }
  readonly NetworkSettings?: { readonly Ports?: Readonly<Record<string, readonly { readonly HostIp?: string; readonly HostPort?: string }[] | null>> }
}

/** The port of 127.0.0.1 that leads to a container's TCP port; undefined where it does not run, or none does. */
export async function publishedPort(name: string, target: number, signal: AbortSignal): Promise<number | undefined> {
  const found = await orUndefined(dockerGet<WithPorts>(`/containers/${encodeURIComponent(name)}/json`, { signal }))
  if (found?.State?.Running !== true) return undefined
  const bindings = found.NetworkSettings?.Ports?.[`${target}/tcp`] ?? []
  const port = Number(bindings.find(({ HostIp }) => HostIp === '127.0.0.1' || HostIp === '0.0.0.0')?.HostPort)
  return Number.isInteger(port) && port > 0 ? port : undefined
}
