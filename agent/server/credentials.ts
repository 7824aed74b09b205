/** TLS 1.3 with a client certificate required, and certificates that can be exchanged while the server runs. */
import { watch } from 'node:fs'
import type { SecureContextOptions } from 'node:tls'
import { ServerCredentials } from '@grpc/grpc-js'
import { loadPki, type PemSet } from './pki.ts'

/** minVersion is said with each context: a reload without it would let TLS 1.2 in again. */
const contextOf = ({ ca, cert, key }: PemSet): SecureContextOptions => ({ ca, cert, key, minVersion: 'TLSv1.3' })

/** Milliseconds; who connects and says nothing is not waited for as long as Node.js would, two minutes. */
const handshakeTimeout = 10_000

export class MtlsServerCredentials extends ServerCredentials {
  /** `handshake`: milliseconds after which who says nothing is shown out. */
  constructor(pem: PemSet, handshake = handshakeTimeout) {
    super({ requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3', handshakeTimeout: handshake }, contextOf(pem))
  }

  /** For connections from now on. */
  reload(pem: PemSet): void {
    this.updateSecureContextOptions(contextOf(pem))
  }

  override _equals(other: ServerCredentials): boolean {
    return this === other
  }
}

/** Milliseconds of quiet in the folder before it is read: an installation writes several files. */
const settleTime = 300

/** Calls `onPki` whenever a consistent new set is in the folder; an inconsistent one is told to `onError` and the old one stays in use. */
export function watchPki(
  folder: string,
  onPki: (pem: PemSet) => void | Promise<void>,
  onError: (error: unknown) => void,
): { reload(): Promise<void>; close(): void } {
  let timer: NodeJS.Timeout | undefined
  const reload = async (): Promise<void> => {
    try {
      await onPki(await loadPki(folder))
    } catch (error) {
      onError(error)
    }
  }
  const watcher = watch(folder, () => {
    clearTimeout(timer)
    timer = setTimeout(() => void reload(), settleTime)
  })
  watcher.on('error', onError)
  return {
    reload,
    close: () => {
      clearTimeout(timer)
      watcher.close()
    },
  }
}
