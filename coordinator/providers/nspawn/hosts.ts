/** A host's life: made, started, halted, removed. Each is idempotent and finishes what an interrupted run began. */
import { existsSync, mkdirSync } from 'node:fs'
import { run } from '../command.ts'
import { mountRoot, personalize, unmountBelow } from './host-root.ts'
import { findMachine, killMachine, shutDown, startMachine, waitForSsh } from './machine.ts'
import { connectHost, disconnectHost, gatewayOf, type NetworkHost, namespaceExists } from './network.ts'
import { type HostFolder, type HostRecord, hostFolder, type StageFolder, writeHostRecord } from './stage-folder.ts'

/** A stopping host with docker services on it; systemd's own limit for one unit is 90 s. */
const orderlyDeadline = 60_000
const startDeadline = 90_000
/** Where sshd listens until setup-hosts gives it another port. */
export const firstSshPort = 22

export interface HostWork {
  readonly stage: StageFolder
  /** All hosts of the site: gateways are chosen among them. */
  readonly all: readonly NetworkHost[]
  readonly authorizedKeys: string
  readonly signal: AbortSignal
}

export interface HostOptions {
  /** Where sshd listens once the host is set up. */
  readonly sshdPort?: number
  /** SOURCE:TARGET of what of this machine is bound into the host. */
  readonly binds?: readonly string[]
}

/** Makes what is missing of the host and starts it; returns when its sshd listens, on the first port or on `sshdPort`. */
export async function bringUp(work: HostWork, record: HostRecord, { sshdPort = firstSshPort, binds = [] }: HostOptions = {}): Promise<void> {
  const { stage, signal } = work
  const host = hostFolder(stage, record.shortName)
  const running = findMachine(host) !== undefined
  if (!running || !namespaceExists(host.namespace)) {
    if (running) await killMachine(host)
    mkdirSync(host.folder, { recursive: true, mode: 0o755 })
    writeHostRecord(host, { ...record, complete: false })
    await Promise.all([
      connectHost(stage, record, work.all),
      mountRoot(host, record.baseRoot).then(() =>
        personalize(host.root, { ...record, nameServer: gatewayOf(record, work.all), authorizedKeys: work.authorizedKeys }),
      ),
    ])
    writeHostRecord(host, { ...record, complete: true })
    await startMachine(stage, host, signal, binds)
  }
  await waitForSsh(host, [firstSshPort, sshdPort], startDeadline, signal)
}

/** Orderly; its file system is unmounted afterwards, its data stays. */
export async function putDown(host: HostFolder, signal: AbortSignal): Promise<void> {
  await shutDown(host, orderlyDeadline, signal)
  await unmountBelow(host.root)
}

/** Removes the host with its data. */
export async function remove(stage: StageFolder, host: HostFolder): Promise<void> {
  await killMachine(host)
  await disconnectHost(stage, host)
  await unmountBelow(host.folder)
  await removeFolder(host.folder)
}

/** Stops at mount points, should one be left: what is mounted there is not ours to delete. */
export async function removeFolder(folder: string): Promise<void> {
  if (!existsSync(folder)) return
  await run(['rm', '-rf', '--one-file-system', folder], { timeout: 300_000 })
}
