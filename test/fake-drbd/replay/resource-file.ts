/** The resource files of the recordings: enough of their grammar to know what drbdadm told the kernel. */

export interface ConfiguredHost {
  name: string
  nodeId: number
  address: string
  minor: number
  disk: string
}

export type OptionList = readonly (readonly [string, string])[]

export interface ConfiguredResource {
  name: string
  options: OptionList
  net: OptionList
  disk: OptionList
  hosts: ConfiguredHost[]
}

type Node = { words: string[]; body?: Node[] }

export function parseResourceFile(text: string): ConfiguredResource {
  const tokens = text.replace(/#.*$/gm, '').match(/"[^"]*"|[{};]|[^\s{};]+/g) ?? []
  let position = 0
  const block = (): Node[] => {
    const nodes: Node[] = []
    let words: string[] = []
    while (position < tokens.length) {
      const token = tokens[position++] as string
      if (token === '}') return nodes
      if (token === ';') {
        nodes.push({ words })
        words = []
      } else if (token === '{') {
        nodes.push({ words, body: block() })
        words = []
      } else words.push(token.replace(/^"|"$/g, ''))
    }
    return nodes
  }
  const resource = block().find((node) => node.words[0] === 'resource')
  if (resource?.body === undefined) throw new Error('no resource in this file')
  const section = (name: string): OptionList =>
    (resource.body ?? [])
      .filter((node) => node.words[0] === name && node.body !== undefined)
      .flatMap((node) => (node.body ?? []).map((option) => [option.words[0] ?? '', option.words[1] ?? ''] as const))
  return {
    name: resource.words[1] ?? '',
    options: section('options'),
    net: section('net'),
    disk: section('disk'),
    hosts: resource.body.filter((node) => node.words[0] === 'on').map((node) => configuredHost(node.words[1] ?? '', node.body ?? [])),
  }
}

function configuredHost(name: string, body: readonly Node[]): ConfiguredHost {
  const value = (nodes: readonly Node[], key: string): string[] => nodes.find((node) => node.words[0] === key)?.words ?? []
  const volume = body.find((node) => node.words[0] === 'volume')?.body ?? []
  return {
    name,
    nodeId: Number(value(body, 'node-id')[1]),
    address: `ipv4:${value(body, 'address')[1]}`,
    minor: Number(value(volume, 'device')[3]),
    disk: value(volume, 'disk')[1] ?? 'none',
  }
}
