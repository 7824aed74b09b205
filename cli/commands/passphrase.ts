/** Where a passphrase comes from: a file, the environment, or a terminal that does not show it. */
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { HiveError, messageOf } from '../../proto/errors.ts'

const variable = 'HIVE_CONTEXT_PASSPHRASE'
/** Characters. What is encrypted are the keys of a whole site. */
const shortest = 12

export interface PassphraseOptions {
  readonly file: string | undefined
  /** It is made now: it must be long enough, and typed twice. */
  readonly twice: boolean
  readonly signal: AbortSignal
}

/** Throws HiveError 'invalid-input' for one that is too short or can't be read, 'blocked' where nobody can be asked, 'cancelled' for two different ones. */
export async function passphrase({ file, twice, signal }: PassphraseOptions): Promise<string> {
  const given = file === undefined ? process.env[variable] : fromFile(file)
  const text = given ?? (await typed('Passphrase: ', signal))
  if (text === '') throw new HiveError('cancelled', 'no passphrase was given')
  if (twice && text.length < shortest)
    throw new HiveError('invalid-input', `the passphrase is too short: it has ${text.length} characters`, { hint: `use ${shortest} or more` })
  if (twice && given === undefined && (await typed('Once more: ', signal)) !== text) throw new HiveError('cancelled', 'these were two different passphrases')
  return text
}

function fromFile(path: string): string {
  try {
    return readFileSync(path, 'utf8').replace(/\r?\n$/, '')
  } catch (cause) {
    throw new HiveError('invalid-input', `${path} can't be read: ${messageOf(cause)}`, { cause })
  }
}

async function typed(question: string, signal: AbortSignal): Promise<string> {
  if (!process.stdin.isTTY) throw new HiveError('blocked', 'there is nobody to ask for the passphrase', { hint: `--passphrase-file FILE, or ${variable}` })
  process.stderr.write(question)
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() })
  const terminal = createInterface({ input: process.stdin, output: silent, terminal: true })
  const left = new AbortController()
  terminal.once('close', () => left.abort())
  try {
    return await terminal.question('', { signal: AbortSignal.any([signal, left.signal]) })
  } catch {
    return ''
  } finally {
    terminal.close()
    process.stderr.write('\n')
  }
}
