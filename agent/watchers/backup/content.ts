/**
 * Looks whether what goes by is whole, as far as its form tells: gzip to its end, a tar to its end, an SQL dump to the line that its program
 * writes last. A dump whose program ended early looks right in each part but this one.
 */
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { createGunzip, type Gunzip } from 'node:zlib'
import { type Extract, extract } from 'tar-stream'

export type Form = 'empty' | 'tar' | 'sql' | 'other'

export interface Content {
  readonly form: Form
  readonly gzip: boolean
  /** Bytes when unpacked by gzip. */
  readonly unpacked: number
  /** Of a tar, its own folder not counted. */
  readonly entries: number
  /** Of all entries' names and of the bytes in files, whatever their order. */
  readonly digest: string
  /** undefined: nothing speaks against it. */
  readonly problem: string | undefined
}

const blockSize = 512
/** Bytes at the end that are looked at: two blocks of a tar's end, the last lines of SQL. */
const tailSize = 1024
/** First lines of programs, and the line that is written last when there was the first. */
const sqlDumps: readonly (readonly [RegExp, RegExp])[] = [
  [/^-- (?:MySQL|MariaDB) dump /m, /^-- Dump completed/m],
  [/^-- PostgreSQL database dump$/m, /^-- PostgreSQL database dump complete$/m],
  [/^-- PostgreSQL database cluster dump$/m, /^-- PostgreSQL database cluster dump complete$/m],
]

/** Bytes go in by `write`, one after the other; `end` says what they were. */
export class ContentInspector {
  #gunzip: Gunzip | undefined
  #plain: PlainInspector = new PlainInspector()
  #begun: Buffer = Buffer.alloc(0)
  #decided = false
  #problem: string | undefined
  #feeding: Promise<void> = Promise.resolve()

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#decided) return this.#pass(chunk)
    this.#begun = Buffer.concat([this.#begun, chunk])
    if (this.#begun.length >= 2) await this.#decide()
  }

  async end(): Promise<Content> {
    if (!this.#decided) await this.#decide()
    if (this.#gunzip !== undefined) {
      this.#gunzip.end()
      await this.#feeding
    }
    const found = await this.#plain.end()
    return { ...found, gzip: this.#gunzip !== undefined, problem: this.#problem ?? found.problem }
  }

  async #decide(): Promise<void> {
    this.#decided = true
    if (this.#begun[0] === 0x1f && this.#begun[1] === 0x8b) {
      const gunzip = createGunzip()
      this.#gunzip = gunzip
      this.#feeding = (async () => {
        for await (const piece of gunzip) await this.#plain.write(piece as Buffer)
      })().catch((error: unknown) => {
        this.#problem = (error as NodeJS.ErrnoException).code === 'Z_BUF_ERROR' ? 'the gzip data breaks off' : 'the gzip data is damaged'
      })
    }
    await this.#pass(this.#begun)
  }

  async #pass(chunk: Uint8Array): Promise<void> {
    const gunzip = this.#gunzip
    if (gunzip === undefined) return this.#plain.write(chunk)
    if (this.#problem !== undefined || gunzip.destroyed) return
    if (!gunzip.write(chunk)) await Promise.race([once(gunzip, 'drain').catch(() => undefined), once(gunzip, 'close').catch(() => undefined)])
  }
}

class PlainInspector {
  #head: Buffer = Buffer.alloc(0)
  #tail: Buffer = Buffer.alloc(0)
  #size = 0
  #form: Form | undefined
  #tar: TarInspector | undefined

  async write(chunk: Uint8Array): Promise<void> {
    this.#size += chunk.length
    this.#tail = chunk.length >= tailSize ? Buffer.from(chunk.subarray(-tailSize)) : Buffer.concat([this.#tail, chunk]).subarray(-tailSize)
    if (this.#form !== undefined) return this.#tar?.write(chunk)
    this.#head = Buffer.concat([this.#head, chunk])
    if (this.#head.length >= tailSize) await this.#decide()
  }

  async end(): Promise<Omit<Content, 'gzip'>> {
    if (this.#form === undefined) await this.#decide()
    const tar = await this.#tar?.end()
    const form = this.#form ?? 'empty'
    return { form, unpacked: this.#size, entries: tar?.entries ?? 0, digest: tar?.digest ?? '', problem: this.#problemOf(form, tar?.problem) }
  }

  async #decide(): Promise<void> {
    const head = this.#head
    this.#form = head.length === 0 ? 'empty' : isTar(head) ? 'tar' : sqlEnd(head) === undefined ? 'other' : 'sql'
    if (this.#form === 'tar') {
      this.#tar = new TarInspector()
      await this.#tar.write(head)
    }
    if (this.#form !== 'sql') this.#head = Buffer.alloc(0)
  }

  #problemOf(form: Form, ofTar: string | undefined): string | undefined {
    switch (form) {
      case 'empty':
        return 'it is empty'
      case 'tar':
        return ofTar ?? (this.#tail.length >= 2 * blockSize && this.#tail.every((byte) => byte === 0) ? undefined : 'the tar archive breaks off')
      case 'sql':
        return sqlEnd(this.#head)?.test(this.#tail.toString('latin1')) === false
          ? 'the SQL dump breaks off: the line that its program writes last is not there'
          : undefined
      case 'other':
        return undefined
    }
  }
}

const isTar = (head: Buffer): boolean =>
  head.length >= blockSize && (head.toString('latin1', 257, 262) === 'ustar' || (head.length >= 2 * blockSize && head.every((byte) => byte === 0)))

const sqlEnd = (head: Buffer): RegExp | undefined => {
  const text = head.toString('latin1', 0, tailSize)
  return sqlDumps.find(([first]) => first.test(text))?.[1]
}

const digestBits = 128n

class TarInspector {
  readonly #extract: Extract = extract()
  #entries = 0
  #sum = 0n
  #problem: string | undefined
  readonly #ended: Promise<void>

  constructor() {
    this.#extract.on('entry', (header, stream, next) => {
      const name = header.name.replace(/^(?:\.?\/)+/, '').replace(/\/+$/, '')
      if (name !== '' && name !== '.') {
        this.#entries += 1
        this.#add(name)
        if (header.type === 'file') this.#sum += BigInt(header.size ?? 0)
      }
      stream.on('end', () => next(undefined))
      // Told by the archive, too.
      stream.on('error', () => undefined)
      stream.resume()
    })
    this.#ended = new Promise((resolve) => {
      this.#extract.on('finish', () => resolve())
      this.#extract.on('close', () => resolve())
      this.#extract.on('error', () => {
        this.#problem = 'the tar archive is damaged or breaks off'
        resolve()
      })
    })
  }

  async write(chunk: Uint8Array): Promise<void> {
    if (this.#problem !== undefined) return
    const written = new Promise<void>((resolve) => {
      if (this.#extract.write(Buffer.from(chunk))) resolve()
      else this.#extract.once('drain', () => resolve())
    })
    await Promise.race([written, this.#ended])
  }

  async end(): Promise<{ readonly entries: number; readonly digest: string; readonly problem: string | undefined }> {
    if (this.#problem === undefined) {
      this.#extract.end(null)
      await this.#ended
    }
    const digest = (this.#sum & ((1n << digestBits) - 1n)).toString(16).padStart(32, '0')
    return { entries: this.#entries, digest, problem: this.#problem }
  }

  #add(name: string): void {
    this.#sum += BigInt(`0x${createHash('sha256').update(name).digest('hex').slice(0, 32)}`)
  }
}

/** What a stream of bytes holds. */
export async function inspect(source: AsyncIterable<Uint8Array>): Promise<Content> {
  const inspector = new ContentInspector()
  for await (const chunk of source) await inspector.write(chunk)
  return inspector.end()
}
