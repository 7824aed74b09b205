/** As much XML as the answers of the EC2 query protocol have: elements and text; attributes stay as they came. */
import { randomUUID } from 'node:crypto'

export interface Element {
  readonly name: string
  readonly attributes: string
  children: (Element | string)[]
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }
const decode = (text: string): string =>
  text.replace(/&(#x[0-9a-f]+|#\d+|\w+);/gi, (all, name: string) => {
    if (name.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16))
    return name.startsWith('#') ? String.fromCodePoint(Number(name.slice(1))) : (entities[name] ?? all)
  })
const encode = (text: string): string => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')

/** The root element; undefined where the text is no XML. */
export function parseXml(text: string): Element | undefined {
  const top: Element = { name: '', attributes: '', children: [] }
  const open = [top]
  for (const [, closing, name, attributes, empty, content] of text.matchAll(/<(?:[?!][^>]*|(\/?)([\w:.-]+)([^>]*?)(\/?))>|([^<]+)/g)) {
    const inner = open.at(-1)
    if (inner === undefined) return undefined
    if (content !== undefined) inner.children.push(decode(content))
    else if (name === undefined) continue
    else if (closing === '/') {
      if (open.pop()?.name !== name) return undefined
    } else {
      const element: Element = { name, attributes: attributes ?? '', children: [] }
      inner.children.push(element)
      if (empty !== '/') open.push(element)
    }
  }
  const root = top.children.find((child) => typeof child !== 'string')
  return open.length === 1 ? root : undefined
}

export function writeXml(element: Element | string): string {
  if (typeof element === 'string') return encode(element)
  return `<${element.name}${element.attributes}>${element.children.map(writeXml).join('')}</${element.name}>`
}

export const elements = (parent: Element): Element[] => parent.children.filter((child) => typeof child !== 'string')
export const child = (parent: Element | undefined, ...path: readonly string[]): Element | undefined =>
  path.reduce<Element | undefined>((at, name) => (at === undefined ? undefined : elements(at).find((each) => each.name === name)), parent)
export const text = (parent: Element | undefined, ...path: readonly string[]): string =>
  (child(parent, ...path)?.children ?? [])
    .filter((each) => typeof each === 'string')
    .join('')
    .trim()
/** The `item`s of a set; none where it isn't there. */
export const items = (parent: Element | undefined, ...path: readonly string[]): Element[] =>
  elements(child(parent, ...path) ?? make('none')).filter(({ name }) => name === 'item')
export const make = (name: string, ...children: (Element | string)[]): Element => ({ name, attributes: '', children })

/** Replaces the child of that name, or adds it. */
export function put(parent: Element, replacement: Element): void {
  const at = parent.children.findIndex((each) => typeof each !== 'string' && each.name === replacement.name)
  if (at === -1) parent.children.push(replacement)
  else parent.children[at] = replacement
}

export function* descendants(parent: Element): Generator<Element> {
  for (const each of elements(parent)) {
    yield each
    yield* descendants(each)
  }
}

export const answerXml = (action: string, ...children: (Element | string)[]): string =>
  writeXml({
    name: `${action}Response`,
    attributes: ' xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"',
    children: [make('requestId', randomUUID()), ...children],
  })
