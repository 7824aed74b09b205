import { randomInt } from 'node:crypto'
import { existsSync, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { HiveError } from '../../proto/errors.ts'

const letters = 'abcdefghijklmnopqrstuvwxyz'
const punctuation = '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'
/** Names that Ansible takes from Python's string module. */
const characterSets: Readonly<Record<string, string>> = {
  ascii_letters: letters + letters.toUpperCase(),
  ascii_lowercase: letters,
  ascii_uppercase: letters.toUpperCase(),
  digits: '0123456789',
  hexdigits: '0123456789abcdefABCDEF',
  octdigits: '01234567',
  punctuation,
}

export interface PasswordRequest {
  readonly path: string
  readonly length: number
  readonly characters: string
}

/** Values of files that do not exist yet: the same for a path as long as the process lives. */
const invented = new Map<string, string>()

/** The characters of Ansible's `chars`: names of sets or the characters themselves; two commas are a comma. */
export const charactersOf = (parts: readonly string[]): string => [...new Set(parts.map((part) => characterSets[part] ?? part).join(''))].join('')

/** Ansible's `PATH key=value …` of lookup('password'). Throws HiveError `unsupported` or `invalid-input`. */
export const parsePasswordTerm = (term: string, options: ReadonlyMap<string, unknown>): PasswordRequest => {
  const words = term.split(' ')
  const firstOption = words.findIndex((word, index) => index > 0 && /^[a-z]+=/.test(word))
  const path = (firstOption < 0 ? words : words.slice(0, firstOption)).join(' ')
  const settings = new Map<string, unknown>(options)
  for (const word of firstOption < 0 ? [] : words.slice(firstOption)) {
    if (word !== '') settings.set(word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1))
  }
  for (const key of settings.keys()) {
    if (key === 'encrypt' || key === 'ident' || key === 'seed') {
      throw new HiveError('unsupported', `lookup('password') with ${key} is not supported`, { hint: 'leave it out and hash the password where it is used' })
    }
    if (key !== 'length' && key !== 'chars' && key !== 'wantlist') throw new HiveError('invalid-input', `lookup('password') has no option '${key}'`)
  }
  const length = Number(settings.get('length') ?? 20)
  if (!Number.isInteger(length) || length < 1)
    throw new HiveError('invalid-input', `lookup('password'): length must be a whole number, not '${settings.get('length')}'`)
  const written = settings.get('chars') ?? 'ascii_letters,digits,.,:-_'
  const parts = Array.isArray(written) ? written.map(String) : splitCharacters(String(written))
  return { path, length, characters: charactersOf(settings.has('chars') ? parts : ['ascii_letters', 'digits', '.,:-_']) }
}

const splitCharacters = (text: string): string[] => {
  const comma = text.includes(',,')
  const parts = text
    .replaceAll(',,', ',')
    .split(',')
    .filter((part) => part !== '')
  return comma ? [...parts, ','] : parts
}

/** The password in a file as Ansible writes it: first line, a `salt=` behind it left out. */
const passwordIn = (content: string): string => {
  const line = content.replace(/\r?\n$/, '')
  const salt = line.lastIndexOf(' salt=')
  return salt < 0 ? line : line.slice(0, salt)
}

/**
 * The password of the file, or one made up for it: 'invented' is true until `writePasswords` has stored it.
 * Reads only.
 */
export const passwordOf = (request: PasswordRequest): { readonly password: string; readonly isNew: boolean } => {
  if (request.path !== '/dev/null' && existsSync(request.path)) return { password: passwordIn(readFileSync(request.path, 'utf8')), isNew: false }
  const known = invented.get(request.path)
  if (known !== undefined && request.path !== '/dev/null') return { password: known, isNew: true }
  const password = Array.from({ length: request.length }, () => request.characters[randomInt(request.characters.length)]).join('')
  invented.set(request.path, password)
  return { password, isNew: request.path !== '/dev/null' }
}

/**
 * Stores made-up passwords (0600, folders 0700), each complete or not at all. Answers false when another process stored
 * one of them first: then that one counts and the inventory must be read again.
 */
export const writePasswords = (paths: Iterable<string>): boolean => {
  let mine = true
  for (const path of paths) {
    const password = invented.get(path)
    if (password === undefined || existsSync(path)) continue
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    const temporary = `${path}.${process.pid}.tmp`
    writeFileSync(temporary, `${password}\n`, { mode: 0o600 })
    try {
      linkSync(temporary, path)
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code !== 'EEXIST') throw thrown
      mine = mine && passwordIn(readFileSync(path, 'utf8')) === password
    } finally {
      rmSync(temporary, { force: true })
    }
  }
  return mine
}
