/** An image comes into this host's docker under its reference: pulled, or from an archive that the site ships. */
import type { RegistryAuth } from '#gen/hive/v1/steps_docker.ts'
import { HiveError } from '../../../proto/errors.ts'
import { importRootFilesystem, loadArchive } from '../ansible/images.ts'
import { inspectImage, parseReference, pullImage, tagImage } from './images.ts'

export interface ImageSource {
  readonly reference: string
  readonly auth: RegistryAuth | undefined
  /** undefined: pulled. */
  readonly archive: { readonly path: string; readonly rootFilesystem: boolean; readonly sourceReference: string } | undefined
}

/** Throws as docker does, and 'invalid-input' where the archive does not hold what it should. */
export async function bringImage({ reference, auth, archive }: ImageSource, signal: AbortSignal, log: (line: string) => void): Promise<void> {
  const wanted = parseReference(reference)
  if (archive === undefined) {
    log(`pulling ${reference}`)
    await pullImage(wanted, { auth, signal })
    if (wanted.digest !== '' && wanted.tag !== '') await tagImage(`${wanted.repository}@${wanted.digest}`, wanted, signal)
    return
  }
  log(`loading ${reference}`)
  if (archive.rootFilesystem) await importRootFilesystem(archive.path, reference, signal, log)
  else {
    await loadArchive(archive.path, signal, log)
    const loaded = await inspectImage(archive.sourceReference, signal)
    if (loaded === undefined) throw new HiveError('invalid-input', `the archive holds no image ${archive.sourceReference}`)
    await tagImage(loaded.Id, wanted, signal)
  }
}
