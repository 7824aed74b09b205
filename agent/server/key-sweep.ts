/**
 * Content for Ansible that holds the key of the site's CA stays on the host no longer than it is used: archive and unpacked folder go
 * half a minute after the last use, and none goes that a run still needs. A killed agent takes it up again at its next start.
 */
import { forgetKeys } from '../adapters/ansible/work-folder.ts'
import type { BlobStore } from '../runs/blobs.ts'

/** Milliseconds. A coordinator that was told the content is here starts its run within that. */
const unused = 30_000

export interface KeySweep {
  /** Looks a while from now. */
  later(): void
  close(): void
}

/** @param needed digests that runs refer to */
export function keySweep(work: string, blobs: BlobStore, needed: () => ReadonlySet<string>): KeySweep {
  let timer: NodeJS.Timeout | undefined
  const later = (): void => {
    timer ??= setTimeout(() => {
      timer = undefined
      forgetKeys(work, needed(), (sha256) => blobs.forget(sha256, unused)).then((left) => {
        if (left) later()
      }, later)
    }, unused + 1000).unref()
  }
  return { later, close: () => clearTimeout(timer) }
}
