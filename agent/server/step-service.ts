/** What the coordinator uses: steps, the lock, blobs. */
import { BlobServiceService, LockServiceService, StepServiceService, type UploadBlobRequest } from '#gen/hive/v1/run.ts'
import { HiveError } from '../../proto/errors.ts'
import type { BlobStore } from '../runs/blobs.ts'
import type { ExecutionEnvironment } from '../runs/execute.ts'
import type { LeaseHolder } from '../runs/lease.ts'
import { plan } from '../runs/plan.ts'
import type { Runs } from '../runs/runs.ts'
import { type ServiceRegistration, service } from './service.ts'

const listedByDefault = 50

export const stepService = (runs: Runs, environment: ExecutionEnvironment): ServiceRegistration =>
  service(StepServiceService, {
    plan: async ({ steps }, { signal }) => ({ plans: await plan(steps, environment, signal) }),
    startRun: (request) => runs.start(request),
    watchRun: ({ runId, from }, { signal }) => runs.watch(runId, from, signal),
    listRuns: async ({ activeOnly, limit }) => ({ runs: runs.list(activeOnly, limit || listedByDefault) }),
    cancelRun: async ({ runId }) => ({ wasActive: runs.cancel(runId) }),
  })

export const lockService = (lease: LeaseHolder): ServiceRegistration =>
  service(LockServiceService, {
    acquire: (request) => lease.acquire(request),
    release: ({ owner }) => lease.release(owner),
    get: () => lease.get(),
  })

export const blobService = (blobs: BlobStore, runs: Runs): ServiceRegistration =>
  service(BlobServiceService, {
    has: async ({ sha256 }) => {
      const present = await Promise.all(sha256.map((digest) => blobs.has(digest)))
      return { present: sha256.filter((_, index) => present[index]) }
    },
    upload: async (requests, { signal }) => {
      const parts = requests[Symbol.asyncIterator]()
      const first = await parts.next()
      const header = first.done === true ? undefined : first.value.part
      if (header?.$case !== 'header') throw new HiveError('invalid-input', 'an upload begins with its header')
      const existed = await blobs.put(header.value.sha256, Number(header.value.size), chunksOf(parts), signal)
      if (!existed) await blobs.prune(runs.activeSteps())
      return { existed }
    },
  })

async function* chunksOf(parts: AsyncIterator<UploadBlobRequest>): AsyncGenerator<Uint8Array, void> {
  for (let next = await parts.next(); next.done !== true; next = await parts.next()) {
    if (next.value.part?.$case !== 'chunk') throw new HiveError('invalid-input', 'after its header an upload has chunks only')
    yield next.value.part.value
  }
}
