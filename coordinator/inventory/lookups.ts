import { spawnSync } from 'node:child_process'
import { existsSync, globSync, readFileSync, statSync } from 'node:fs'
import { basename, isAbsolute, join, resolve } from 'node:path'
import { messageOf } from '../../proto/errors.ts'
import { TemplateError } from '../template/template.ts'
import { isMapping } from './mapping.ts'
import { parsePasswordTerm, passwordOf } from './passwords.ts'
import { didYouMean } from './suggest.ts'
import type { HostScope, Lookup } from './variables.ts'

export interface LookupSettings {
  /** Relative paths start here, or in its `files` or `templates` folder. */
  readonly root: string
  readonly env: Readonly<Record<string, string | undefined>>
  /** Whether lookup('pipe') may run its command. */
  readonly runCommands: boolean
  /** Whether a secret file that does not exist is a mistake; else what is made from it stays open. */
  readonly needSecrets: boolean
  /** Receives the path of each password file that does not exist yet. */
  readonly newPassword: (path: string) => void
  readonly notice: (text: string) => void
}

const supported = ['password', 'file', 'env', 'pipe', 'template', 'vars', 'first_found', 'dict', 'fileglob', 'items', 'list']
const pipeTimeoutMs = 60_000
const secretFile = /secret|credential|passw|private|token|\.key$|\.pem$|id_rsa|id_ed25519/i

const refuse = (message: string): never => {
  throw new TemplateError('lookup', message, 0)
}

/** Ansible's lookups, as far as inventories use them. What they read and run is kept until the inventory is loaded. */
export const makeLookup = (settings: LookupSettings): Lookup => {
  const kept = new Map<string, string>()
  const once = (key: string, make: () => string): string => {
    const known = kept.get(key)
    if (known !== undefined) return known
    const made = make()
    kept.set(key, made)
    return made
  }
  const find = (name: string, folder: string): string | undefined => {
    const expanded = name.startsWith('~/') ? join(settings.env['HOME'] ?? '/', name.slice(2)) : name
    const places = isAbsolute(expanded) ? [expanded] : [resolve(settings.root, folder, expanded), resolve(settings.root, expanded)]
    return places.find((place) => existsSync(place))
  }
  const read = (name: string, folder: string, plugin: string): string => {
    const path = find(name, folder)
    if (path === undefined && !settings.needSecrets && secretFile.test(basename(name))) {
      throw new TemplateError('missing-secret', `there is no file ${name}`, 0, basename(name))
    }
    if (path === undefined || statSync(path).isDirectory()) return refuse(`lookup('${plugin}'): there is no file ${name}`)
    return once(`file ${path}`, () => readFileSync(path, 'utf8'))
  }
  const password = (term: string, options: ReadonlyMap<string, unknown>, scope: HostScope): string => {
    scope.secret()
    try {
      const request = parsePasswordTerm(term, options)
      const found = passwordOf({ ...request, path: isAbsolute(request.path) ? request.path : resolve(settings.root, request.path) })
      if (found.isNew) settings.newPassword(resolve(settings.root, request.path))
      return found.password
    } catch (thrown) {
      return thrown instanceof TemplateError ? refuse(thrown.message) : refuse(messageOf(thrown))
    }
  }
  const pipe = (command: string): string =>
    once(`pipe ${command}`, () => {
      if (!settings.runCommands) {
        settings.notice(`lookup('pipe', ${JSON.stringify(command)}) was not run: the inventory is only checked`)
        return `<output of ${command}>`
      }
      const result = spawnSync('/bin/sh', ['-c', command], { cwd: settings.root, encoding: 'utf8', timeout: pipeTimeoutMs, stdio: ['ignore', 'pipe', 'pipe'] })
      if (result.status !== 0) refuse(`lookup('pipe'): '${command}' failed: ${result.error?.message ?? result.stderr.trim()}`)
      return result.stdout.trimEnd()
    })

  return (plugin, args, options, scope) => {
    const name = plugin.replace(/^ansible\.builtin\./, '')
    const terms = args.flatMap((arg): unknown[] => (Array.isArray(arg) ? arg : [arg]))
    const texts = terms.map(String)
    const answer = (values: readonly unknown[]): unknown => {
      if (options.get('wantlist') === true) return values
      return values.length === 1 ? values[0] : values.every((value) => typeof value === 'string') ? values.join(',') : values
    }
    switch (name) {
      case 'password':
        return answer(texts.map((term) => password(term, options, scope)))
      case 'file':
        for (const term of texts) if (secretFile.test(basename(term))) scope.secret()
        return answer(
          texts.map((term) => {
            const text = read(term, 'files', 'file')
            return options.get('rstrip') === false ? text : text.trimEnd()
          }),
        )
      case 'env':
        for (const term of texts) if (secretFile.test(term)) scope.secret()
        return answer(texts.map((term) => settings.env[term] ?? options.get('default') ?? ''))
      case 'pipe':
        return answer(texts.map(pipe))
      case 'template':
        return answer(texts.map((term) => scope.render(read(term, 'templates', 'template'))))
      case 'vars':
        return answer(
          texts.map((term) => {
            const value = scope.variable(term) ?? options.get('default')
            if (value === undefined) throw new TemplateError('undefined', `'${term}' is not defined`, 0, term)
            return value
          }),
        )
      case 'first_found':
        return firstFound(terms, options, (path) => find(path, 'files'))
      case 'fileglob':
        return answer(texts.flatMap((term) => globSync(isAbsolute(term) ? term : resolve(settings.root, 'files', term)).sort()))
      case 'dict':
        return terms.flatMap((term) => (isMapping(term) ? Object.entries(term).map(([key, value]) => ({ key, value })) : []))
      case 'items':
      case 'list':
        return terms
      default:
        throw new TemplateError('unsupported', `lookup('${plugin}') is not supported; ${didYouMean(name, supported)}`, 0)
    }
  }
}

const firstFound = (terms: readonly unknown[], options: ReadonlyMap<string, unknown>, find: (path: string) => string | undefined): unknown => {
  const listOf = (value: unknown): string[] => (Array.isArray(value) ? value.map(String) : value === undefined ? [] : [String(value)])
  const candidates = terms.flatMap((term): string[] => {
    if (!isMapping(term)) return [String(term)]
    const paths = listOf(term['paths'])
    const files = listOf(term['files'])
    return paths.length === 0 ? files : paths.flatMap((path) => files.map((file) => join(path, file)))
  })
  const paths = listOf(options.get('paths'))
  const files = listOf(options.get('files'))
  candidates.push(...(paths.length === 0 ? files : paths.flatMap((path) => files.map((file) => join(path, file)))))
  const found = candidates.map(find).find((path) => path !== undefined)
  const skip = options.get('skip') === true || options.get('errors') === 'ignore' || terms.some((term) => isMapping(term) && term['skip'] === true)
  return found ?? (skip ? [] : refuse(`lookup('first_found'): none of these exists: ${candidates.join(', ')}`))
}
