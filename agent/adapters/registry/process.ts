/** How the registry of this host is run: by the host's package, or in a container. */
import { HiveError } from '../../../proto/errors.ts'
import { run } from '../command.ts'
import { dockerDelete, dockerPost, dockerStream, orUndefined } from '../docker.ts'
import { registryPaths } from '../registry-config.ts'
import { containerBody, findRegistryContainer, registryContainerName } from '../registry-container.ts'
import { resetFailed, systemctl, unitStatus } from '../systemd.ts'

export interface RegistryProcess {
  /** With the configuration that is on disk. */
  restart(signal: AbortSignal): Promise<void>
  /** Runs the registry's own collector; it must not be written to meanwhile. */
  collect(signal: AbortSignal): Promise<void>
}

/** Milliseconds: a large registry on a slow disk. */
const collectTime = 3_600_000

const unit = 'docker-registry.service'
const collector = 'hive-registry-garbage'

/** Throws HiveError 'not-found' where none runs. */
export async function registryProcess(signal: AbortSignal): Promise<RegistryProcess> {
  if ((await unitStatus(unit)).active === 'active') return byPackage
  const container = await orUndefined(findRegistryContainer(signal))
  if (container?.running === true) return byContainer(container.imageId)
  throw new HiveError('not-found', 'no registry runs on this host', { hint: '`hivecoord setup-hosts` starts it' })
}

const byPackage: RegistryProcess = {
  restart: async (signal) => {
    // systemd counts starts, and refuses the sixth within ten seconds.
    await resetFailed(unit, signal)
    await systemctl('restart', unit, signal)
  },
  collect: async (signal) => {
    await run(['docker-registry', 'garbage-collect', registryPaths.config], { signal, timeout: collectTime })
  },
}

/** Beside the registry's container, with the same files. */
const byContainer = (image: string): RegistryProcess => ({
  restart: async (signal) => {
    await dockerPost(`/containers/${registryContainerName}/restart`, { query: { t: '10' }, signal })
  },
  collect: async (signal) => {
    await removeCollector()
    const body = { ...containerBody(image), Cmd: ['garbage-collect', registryPaths.config], Tty: true }
    const { HostConfig } = body
    const { Id } = await dockerPost<{ readonly Id: string }>('/containers/create', {
      query: { name: collector },
      body: { ...body, HostConfig: { ...HostConfig, RestartPolicy: { Name: 'no' } } },
      signal,
    })
    try {
      await dockerPost(`/containers/${Id}/start`, { signal })
      const { StatusCode } = await dockerPost<{ readonly StatusCode: number }>(`/containers/${Id}/wait`, { signal, timeout: collectTime })
      if (StatusCode !== 0)
        throw new HiveError('command-failed', `the registry's garbage-collect ended with ${StatusCode}`, { log: await lastLines(Id, signal) })
    } finally {
      await removeCollector()
    }
  },
})

async function removeCollector(): Promise<void> {
  await orUndefined(dockerDelete(`/containers/${collector}`, { query: { force: 'true' }, signal: AbortSignal.timeout(30_000) }))
}

async function lastLines(id: string, signal: AbortSignal): Promise<string[]> {
  const chunks: Buffer[] = []
  for await (const chunk of await dockerStream('GET', `/containers/${id}/logs`, { query: { stdout: '1', stderr: '1', tail: '15' }, signal }))
    chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8').trimEnd().split(/\r?\n/)
}
