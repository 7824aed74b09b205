/** The newest runs of a stage, read again as they grow: of a journal only what was not read before. */
import { closeSync, existsSync, fstatSync, openSync, readSync } from 'node:fs'
import { StringDecoder } from 'node:string_decoder'
import { type JournalEntry, journalFile, runIds } from '../run/journal.ts'
import { RunFold, type RunView } from './run-view.ts'

interface Reading {
  readonly fold: RunFold
  readonly decoder: StringDecoder
  position: number
  rest: string
  view: RunView
}

/** Bytes at a time. */
const piece = 1 << 20

export class RunsReader {
  readonly #contextDir: string
  readonly #most: number
  readonly #readings = new Map<string, Reading>()

  constructor(contextDir: string, most: number) {
    this.#contextDir = contextDir
    this.#most = most
  }

  /** Newest first. The views of runs that did not grow are the same objects as before. */
  look(): readonly RunView[] {
    const ids = runIds(this.#contextDir, this.#most)
    for (const known of this.#readings.keys()) if (!ids.includes(known)) this.#readings.delete(known)
    return ids.flatMap((id) => this.#read(id)?.view ?? [])
  }

  /** undefined: it was taken away meanwhile. */
  #read(id: string): Reading | undefined {
    const reading = this.#readings.get(id) ?? begun(id)
    this.#readings.set(id, reading)
    const path = journalFile(this.#contextDir, id)
    if (!existsSync(path)) return undefined
    const file = openSync(path, 'r')
    try {
      const end = fstatSync(file).size
      if (reading.position >= end) return reading
      while (reading.position < end) {
        const buffer = Buffer.alloc(Math.min(piece, end - reading.position))
        const length = readSync(file, buffer, 0, buffer.length, reading.position)
        if (length === 0) break
        reading.position += length
        const lines = (reading.rest + reading.decoder.write(buffer.subarray(0, length))).split('\n')
        reading.rest = lines.pop() ?? ''
        for (const line of lines) takeLine(reading.fold, line)
      }
      reading.view = reading.fold.view
      return reading
    } finally {
      closeSync(file)
    }
  }
}

function begun(id: string): Reading {
  const fold = new RunFold(id)
  return { fold, decoder: new StringDecoder('utf8'), position: 0, rest: '', view: fold.view }
}

function takeLine(fold: RunFold, line: string): void {
  let entry: JournalEntry
  try {
    entry = JSON.parse(line) as JournalEntry
  } catch {
    // Cut short: the coordinator died while it wrote.
    return
  }
  fold.take(entry)
}
