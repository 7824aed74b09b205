/** An image that the registry has lost is pushed by a host that has it: the same content, without being built again. */
import type { EnsurePushedImage } from '#gen/hive/v1/steps_registry.ts'
import { HiveError } from '../../proto/errors.ts'
import { pushImage, untagImage } from '../adapters/ansible/images.ts'
import { manifestDigest } from '../adapters/ansible/registry.ts'
import { inspectImage, tagImage } from '../adapters/docker/images.ts'
import { change, type Executor, ok } from './executor.ts'

export const ensurePushedImage: Executor<EnsurePushedImage> = {
  exclusive: (spec) => `push ${spec.repository}`,

  async check(spec, { signal }) {
    const wanted = `${spec.repository}:${spec.tag}`
    try {
      if ((await manifestDigest(spec.repository, spec.tag, spec.auth, signal)) !== undefined) return ok
    } catch (thrown) {
      if (thrown instanceof HiveError && thrown.code === 'unreachable') return change('the registry does not answer yet', 'unknown', wanted)
      throw thrown
    }
    // Then it is built, or shipped, as one that nobody has.
    if ((await inspectImage(spec.source, signal)) === undefined) return ok
    return change('the registry has lost it, and this host has it', 'not in the registry', wanted)
  },

  async apply(spec, { signal, log }) {
    const { repository, tag, auth } = spec
    const wanted = `${repository}:${tag}`
    const hadName = (await inspectImage(wanted, signal)) !== undefined
    if (spec.source !== wanted) await tagImage(spec.source, { repository, tag }, signal)
    try {
      log(`pushing ${wanted}`)
      await pushImage(repository, tag, auth, signal, log)
    } catch (thrown) {
      if (!(thrown instanceof HiveError) || thrown.code !== 'command-failed') throw thrown
      log(`${thrown.message}; it is made anew where it can be`)
      return
    } finally {
      if (!hadName) await untagImage(wanted, AbortSignal.timeout(30_000))
    }
    const digest = await manifestDigest(repository, tag, auth, signal)
    if (digest !== undefined && spec.digest !== '' && digest !== spec.digest)
      log(`its layers were packed anew: it is ${digest.slice(0, 19)} now, and was ${spec.digest.slice(0, 19)}; the content is the same`)
  },

  // What could not be pushed is built, or shipped, by the step that waits for this one.
  verify: async () => ok,
}
