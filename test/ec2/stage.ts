/** The example's aws stage against the emulator: the provider's own parts, without the hosts that an emulator can't boot. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadSite } from '../../coordinator/inventory/load.ts'
import type { Site } from '../../coordinator/inventory/site.ts'
import { AwsApi } from '../../coordinator/providers/aws/api.ts'
import { applyAws } from '../../coordinator/providers/aws/apply.ts'
import type { MadeHost } from '../../coordinator/providers/aws/apply-hosts.ts'
import { destroyAws } from '../../coordinator/providers/aws/destroy.ts'
import { type AwsFound, observe } from '../../coordinator/providers/aws/observe.ts'
import { planAws } from '../../coordinator/providers/aws/plan.ts'
import type { AwsPlan } from '../../coordinator/providers/aws/plan-host.ts'
import * as sdk from '../../coordinator/providers/aws/sdk.ts'
import { destroyFileSystem } from '../../coordinator/providers/aws/stage-file-system.ts'
import { type Clock, realClock } from '../../coordinator/providers/aws/wait.ts'
import { type AwsWant, awsWant } from '../../coordinator/providers/aws/want.ts'
import type { StageState } from '../../coordinator/run/stage-state.ts'

export const publicKey =
  'ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQDL5orAmjygxK8drNEsTi7w7EB80JYUxCHsQRH6B6/1Uq5WnLd5jC0u8jzvi/+8X7o1hmd98R/9hdxidOMxtI8gs5R87edKmPfjBMPx7l+k5qfOSGEChtmVF3h03/NoTVlIKYav5clpZyw8nBOo3hhJLVl4uVMSaAcY7ny9c9Ir/lKsy64AHK51IhpiseZgx8N2O9XmLmPTawBUsGCFemsFetQvzsao5fSUQGt/jEpKXLc8COjN2sj7QKiByL5YXjNXeU6pns/BPpJ2SyGpF053z3/KBv2yKtW3m8mZAxHOk4gRUFxnW3RokRwqVni88nnaIKY65X2NfFOM5uduTEZF hive test'

/**
 * Real waits, so many times as fast. Time passes by them alone: what a busy machine takes for an answer counts for no deadline.
 */
export function fasterClock(times: number): Clock {
  let passed = 0
  return {
    ...realClock,
    now: () => passed,
    pause: async (milliseconds, signal) => {
      const end = passed + milliseconds
      await realClock.pause(milliseconds / times, signal)
      passed = Math.max(passed, end)
    },
  }
}

/** For waits on the emulator, which is so much faster than EC2. */
export const fastClock = fasterClock(20)

export interface TestStage {
  readonly want: AwsWant
  readonly state: StageState
  readonly api: AwsApi
  plan(): Promise<AwsPlan & { readonly found: AwsFound }>
  /** Plans and carries out; answers what was planned. */
  apply(): Promise<AwsPlan & { readonly made: readonly MadeHost[] }>
  destroy(): Promise<void>
  close(): void
}

export const exampleSite = new URL('../../examples/pdns', import.meta.url).pathname

/** Loads the site's stage; `change` what it wants of it. */
export async function loadStage(folder: string = exampleSite, stage = 'staging'): Promise<Site> {
  const root = mkdtempSync(join(tmpdir(), 'hive-ec2-'))
  try {
    cpSync(folder, root, { recursive: true, filter: (path) => !path.includes('.hive') })
    return await loadSite({ root, stage, createPasswords: false, persist: false })
  } finally {
    rmSync(root, { recursive: true, force: true })
  }
}

export function memory(): StageState {
  const values = new Map<string, unknown>()
  return { get: (key) => values.get(key), set: (key, value) => void values.set(key, value) }
}

export interface StageOptions {
  readonly endpoint: string
  readonly state?: StageState
  readonly signal?: AbortSignal
  readonly clock?: Clock
}

export function testStage(want: AwsWant, { endpoint, state = memory(), signal = new AbortController().signal, clock = fastClock }: StageOptions): TestStage {
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const api = new AwsApi(sdk, { region: want.region, endpoint, credentials }, clock)
  const say = (): void => undefined
  const plan = async () => {
    const found = await observe(api, want, signal)
    return { ...planAws(want, found), found }
  }
  return {
    want,
    state,
    api,
    plan,
    apply: async () => {
      const { found, actions, notices } = await plan()
      const made: MadeHost[] = []
      await applyAws({
        api,
        want,
        found,
        actions,
        state,
        publicKey,
        fileSystem: undefined,
        emit: say,
        signal,
        say,
        made: async (host) => void made.push(host),
      })
      return { actions, notices, made }
    },
    destroy: async () => {
      const found = await observe(api, want, signal)
      await destroyAws({ api, want, found, signal, say, fileSystems: () => destroyFileSystem(api, want, found, state, say, signal) })
    },
    close: () => api.close(),
  }
}

export const exampleWant = async (stage?: string): Promise<AwsWant> => awsWant(await loadStage(exampleSite, stage))
