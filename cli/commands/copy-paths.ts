/** What `hivecoord cp` copies where, by its two arguments. Pure. */
import { HiveError } from '../../proto/errors.ts'

export type Place = { readonly kind: 'local'; readonly path: string } | { readonly kind: 'service'; readonly service: string; readonly path: string }

/** `service:path` is in a container; a name with `/` before its first colon, or `-`, is of this machine. */
export function parsePlace(text: string): Place {
  const [, service, path] = /^([^/.:][^/:]*):(.*)$/s.exec(text) ?? []
  return service === undefined || path === undefined ? { kind: 'local', path: text } : { kind: 'service', service, path: path === '' ? '/' : path }
}

export type Copy =
  | { readonly direction: 'out'; readonly service: string; readonly from: string; readonly to: string }
  | { readonly direction: 'in'; readonly service: string; readonly from: string; readonly to: string }

/** Throws HiveError 'invalid-input' unless just one of both is in a service. */
export function parseCopy(source: string, destination: string): Copy {
  const [from, to] = [parsePlace(source), parsePlace(destination)]
  if (from.kind === 'service' && to.kind === 'local') return { direction: 'out', service: from.service, from: from.path, to: to.path }
  if (from.kind === 'local' && to.kind === 'service') return { direction: 'in', service: to.service, from: from.path, to: to.path }
  throw new HiveError('invalid-input', from.kind === 'local' ? 'neither side is in a service' : 'both sides are in services', {
    hint: 'write one side as SERVICE:PATH; a file here whose name has a colon as ./NAME',
  })
}

/** The last part of a path, '' of a root or of one that ends with `.`: then its content is meant. */
export function lastPart(path: string): string {
  const last = path.split('/').filter(Boolean).at(-1) ?? ''
  return last === '.' || last === '..' ? '' : last
}

/** Folder and name of a path that need not be there. */
export function parted(path: string): { readonly folder: string; readonly name: string } {
  const bare = path.replace(/\/+$/, '')
  const slash = bare.lastIndexOf('/')
  return { folder: slash === -1 ? '.' : slash === 0 ? '/' : bare.slice(0, slash), name: bare.slice(slash + 1) }
}

/** A name in an archive with its first part replaced; '' as `first` leaves that part out. */
export function renamed(name: string, first: string): string {
  const rest = name
    .replace(/^(\.\/)+/, '')
    .split('/')
    .slice(1)
  return first === '' ? rest.join('/') : [first, ...rest].join('/')
}
