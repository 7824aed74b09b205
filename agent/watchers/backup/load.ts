/** A dump back into where its data belongs. What can be looked at before anything is replaced is looked at. */
import { createHash } from 'node:crypto'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGunzip } from 'node:zlib'
import type { BackupScript } from '#gen/hive/v1/steps_backup.ts'
import { HiveError } from '../../../proto/errors.ts'
import { removeFile, restoreArchive, shellCommand, testArchive, unpackInto, writeFile } from './commands.ts'
import { codeOf, collect, type Place } from './place.ts'

export interface LoadInput {
  readonly script: BackupScript
  readonly place: Place
  /** Throws where it is not whole (`whole`). */
  readonly data: AsyncIterable<Uint8Array>
  readonly size: number
  readonly signal: AbortSignal
  readonly onLine: (line: string) => void
  /** Leading folders of the archive's names that are left out. Default 0. */
  readonly strip?: number
}

const toldLines = 15

/** Throws HiveError 'unsupported' for a script that says nothing of a restore. */
export function assertRestorable(script: BackupScript): void {
  if (script.directory !== '' || script.restoreCommand !== '' || script.restoreFile !== '') return
  throw new HiveError('unsupported', `${script.name} has nothing to restore with`, { hint: 'add restore_command to its entry in backup_scripts, and deploy' })
}

/** As hive-builder restores: a folder from an archive that is put beside it, a file with a command, or a command's input. */
export async function load(input: LoadInput): Promise<void> {
  const { script, data, size } = input
  assertRestorable(script)
  if (script.directory !== '') {
    const archive = restoreArchive(script.standalone || script.onHost)
    try {
      await upload(input, archive)
      await must(input, 'tar, before anything is replaced', testArchive(archive))
      const owner = script.onHost ? await ownerOf(input) : undefined
      await must(input, 'tar', unpackInto(script.directory, archive, input.strip ?? 0))
      if (owner !== undefined) await must(input, 'chown', ['chown', '-R', owner, script.directory])
    } finally {
      await codeOf(input.place.run(removeFile(archive), { signal: AbortSignal.timeout(60_000) })).catch(() => undefined)
    }
  } else if (script.restoreFile !== '') {
    await upload(input, script.restoreFile)
    if (script.restoreCommand !== '') await must(input, 'restore_command', shellCommand(script.restoreCommand))
  } else {
    const counted = count(data)
    await must(input, 'restore_command', shellCommand(script.restoreCommand), script.packed ? unpacked(counted.data) : counted.data)
    if (counted.bytes() !== size) throw new HiveError('command-failed', `restore_command of ${script.name} read only ${counted.bytes()} of ${size} bytes`)
  }
}

async function upload({ place, data, size, signal, onLine, script }: LoadInput, file: string): Promise<void> {
  const { code, output } = await collect(place.run(writeFile(file), { signal, input: data, onLine }))
  if (code !== 0 || Number(output.trim()) !== size)
    throw new HiveError(
      'command-failed',
      `${script.name}: ${code === 0 ? `${output.trim()} of ${size} bytes` : 'not all of the dump'} arrived in ${place.what}`,
      {
        hint: `nothing was replaced; is there room for ${file}?`,
      },
    )
}

async function must({ place, signal, onLine, script }: LoadInput, name: string, argv: readonly string[], data?: AsyncIterable<Uint8Array>): Promise<void> {
  const lines: string[] = []
  const told = (line: string): void => {
    lines.push(line)
    if (lines.length > toldLines) lines.shift()
    onLine(`${name}: ${line}`)
  }
  const code = await codeOf(place.run(argv, { signal, input: data, onLine: told }))
  if (code !== 0) throw new HiveError('command-failed', `restore of ${script.name}: ${name} ended with exit code ${code} in ${place.what}`, { log: lines })
}

async function ownerOf({ place, script, signal }: LoadInput): Promise<string | undefined> {
  const { code, output } = await collect(place.run(['stat', '-c', '%u:%g', script.directory], { signal }))
  return code === 0 ? output.trim() : undefined
}

async function* unpacked(data: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  const gunzip = createGunzip()
  const feeding = pipeline(Readable.from(data), gunzip).catch(() => undefined)
  try {
    for await (const chunk of gunzip) yield chunk as Buffer
  } finally {
    gunzip.destroy()
    await feeding
  }
}

function count(data: AsyncIterable<Uint8Array>): { readonly data: AsyncIterable<Uint8Array>; readonly bytes: () => number } {
  let total = 0
  async function* counting(): AsyncGenerator<Uint8Array> {
    for await (const chunk of data) {
      total += chunk.length
      yield chunk
    }
  }
  return { data: counting(), bytes: () => total }
}

/** Passes on what comes; throws at the end where size or checksum are not those that were said. */
export async function* whole(source: AsyncIterable<Uint8Array>, expected: { readonly size: number; readonly sha256: string }): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256')
  let size = 0
  for await (const chunk of source) {
    hash.update(chunk)
    size += chunk.length
    yield chunk
  }
  if (size !== expected.size) throw new HiveError('command-failed', `the dump broke off: ${size} of ${expected.size} bytes came`)
  if (hash.digest('hex') !== expected.sha256)
    throw new HiveError('command-failed', 'the dump that came is another one than was announced: its checksum differs')
}
