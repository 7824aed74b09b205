/**
 * A host leaves the swarm for good, whether it lives or not.
 *
 * - The guard first: the managers that remain have a majority of themselves, and its services another place.
 * - It is drained, is no manager any more, leaves, and is forgotten; in this order, so that a command that dies on the way can be given again.
 * - Its part of mirrored volumes stays as it is: that goes with the host from the inventory.
 */
import { HiveError } from '../../proto/errors.ts'
import { nodeOf } from '../guard/picture.ts'
import { askGuard } from './ask-guard.ts'
import { awaitProgress } from './await-progress.ts'
import { type DrainInput, drainNode, known } from './drain.ts'

/** Answers false where the swarm did not know the host. Rejects as `drainHost` does; what was begun is put back where its tasks do not go. */
export async function leaveSwarm(input: DrainInput, name: string): Promise<boolean> {
  const { operations } = input
  const picture = await askGuard(input, { kind: 'member', host: name }, 'removing')
  const host = known(picture, name)
  if (picture.nodes === undefined) throw new HiveError('unreachable', 'no manager of the swarm answers', { hint: 'hivecoord status' })
  const node = nodeOf(picture.nodes, host)
  if (node === undefined) return false
  await drainNode(input, picture, host, node)
  if (node.role === 'manager') await operations.setRole(name, 'worker')
  // Its docker learns some seconds later that it is no manager any more.
  if (host.answers)
    await awaitProgress(`${name} leaves the swarm`, async () => operations.leave(name).then(() => ({ done: undefined })), { ...input, host: name })
  await operations.removeNode(name)
  return true
}
