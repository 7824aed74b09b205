/** `secrets` and `configs` of a service: texts that docker gives its containers as files. */
import { type Converter, textOf } from './convert.ts'
import { describe, isMapping } from './mapping.ts'
import type { ServiceFile } from './site.ts'
import { didYouMean } from './suggest.ts'

const names = ['name', 'content', 'target', 'uid', 'gid', 'mode'] as const
export type ServiceFileKey = (typeof names)[number]
const allowed: readonly string[] = names
/** Bytes that docker takes. */
const largest = { hive_secrets: 500 * 1024, hive_configs: 1000 * 1024 } as const

export function serviceFilesOf(read: Converter, variable: 'hive_secrets' | 'hive_configs', rememberSecret: (text: string) => void): readonly ServiceFile[] {
  const kind = variable.replace('hive_', '').replace(/s$/, '')
  const files = read.list(variable).flatMap((entry, index): ServiceFile[] => {
    const wrong = (message: string, instead?: string, ...keys: string[]): never[] => {
      read.wrong(variable, message, instead, read.within(variable, index, ...keys))
      return []
    }
    if (!isMapping(entry)) return wrong(`a ${kind} must be a mapping, but is ${describe(entry)}`, 'write {name: …, content: …}')
    for (const key of Object.keys(entry)) if (!allowed.includes(key)) wrong(`unknown ${kind} key '${key}'`, didYouMean(key, allowed), key)
    const name = textOf(entry['name'] ?? '')
    if (!/^[\w.-]{1,50}$/.test(name))
      return wrong(`'${name}' is no name of a ${kind}`, 'write at most 50 letters, digits, dots, hyphens and underscores', 'name')
    const content = entry['content']
    if (content === undefined || content === null || typeof content === 'object')
      return wrong(`${kind} ${name} needs its content as text`, "write content: \"{{ lookup('file', 'NAME') }}\"", 'content')
    const text = textOf(content)
    const bytes = Buffer.byteLength(text)
    if (bytes === 0 || bytes > largest[variable])
      return wrong(`the content of ${kind} ${name} has ${bytes} bytes`, `docker takes 1 to ${largest[variable]}`, 'content')
    if (kind === 'secret') rememberSecret(text)
    const target = textOf(entry['target'] ?? (kind === 'secret' ? name : `/${name}`))
    if (target.endsWith('/') || (kind === 'config' && !target.startsWith('/')))
      return wrong(`'${target}' is no path of a file in the container`, undefined, 'target')
    const id = (key: 'uid' | 'gid'): number => {
      const value = Number(entry[key] ?? 0)
      if (!Number.isInteger(value) || value < 0) wrong(`${key} must be a number of a user or group, but is ${describe(entry[key])}`, undefined, key)
      return value
    }
    const mode = entry['mode'] ?? '0444'
    if (typeof mode !== 'string' || !/^0?[0-7]{3}$/.test(mode))
      return wrong(`mode must be a text of octal digits, but is ${describe(mode)}`, "write '0440', in quotes", 'mode')
    return [{ name, content: text, target, uid: id('uid'), gid: id('gid'), mode: Number.parseInt(mode, 8) }]
  })
  for (const key of ['name', 'target'] as const)
    for (const [text, same] of Map.groupBy(files, (file) => file[key]))
      if (same.length > 1) read.wrong(variable, `${same.length} ${kind}s have the ${key} ${text}`, 'give each its own')
  return files
}
