/** The agents' RPCs as tables in Markdown, for docs/api.md: from the text of the proto files and the roles. Pure. */
import type { Rule } from './roles.ts'

export interface Rpc {
  readonly service: string
  readonly name: string
  readonly request: string
  readonly response: string
  readonly takesStream: boolean
  readonly givesStream: boolean
  /** What the proto says of it. */
  readonly comment: string
}

export interface Contract {
  readonly services: readonly { readonly name: string; readonly comment: string; readonly rpcs: readonly Rpc[] }[]
  /** Fields of messages as `type name`, by the messages' names. */
  readonly messages: ReadonlyMap<string, readonly string[]>
}

/** Reads what this project's own proto files have, one definition a line. */
export function readContract(files: readonly string[]): Contract {
  const services: Contract['services'][number][] = []
  const messages = new Map<string, readonly string[]>()
  for (const file of files) {
    let comment: string[] = []
    let rpcs: Rpc[] | undefined
    let service = ''
    let message: { readonly name: string; readonly fields: string[] } | undefined
    let depth = 0
    for (const raw of file.split('\n')) {
      const line = raw.trim()
      if (line.startsWith('//')) {
        comment.push(line.slice(2).trim())
        continue
      }
      const text = comment.join(' ')
      comment = []
      const [, begunService] = /^service (\w+) \{/.exec(line) ?? []
      const [, begunMessage] = /^message (\w+) \{/.exec(line) ?? []
      const rpc = /^rpc (\w+)\((stream )?([\w.]+)\) returns \((stream )?([\w.]+)\)/.exec(line)
      if (begunService !== undefined) {
        service = begunService
        rpcs = []
        services.push({ name: service, comment: text, rpcs })
      } else if (rpc !== null)
        rpcs?.push({
          service,
          name: rpc[1] ?? '',
          request: rpc[3] ?? '',
          response: rpc[5] ?? '',
          takesStream: rpc[2] !== undefined,
          givesStream: rpc[4] !== undefined,
          comment: text,
        })
      else if (begunMessage !== undefined && depth === 0) {
        message = { name: begunMessage, fields: [] }
        messages.set(begunMessage, message.fields)
      } else if (message !== undefined) {
        const [, type, name] = /^((?:repeated |optional )?(?:map<[^>]+>|[\w.]+)) (\w+) = \d+/.exec(line) ?? []
        if (type !== undefined && name !== undefined) message.fields.push(`${type.replace('google.protobuf.', '')} ${name}`)
      }
      depth += (line.replace(/\/\/.*/, '').match(/\{/g) ?? []).length - (line.replace(/\/\/.*/, '').match(/\}/g) ?? []).length
      if (depth === 0) message = undefined
    }
  }
  return { services: services.toSorted((a, b) => a.name.localeCompare(b.name)), messages }
}

const cell = (text: string): string => text.replaceAll('|', '\\|')
const row = (...cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |`
const code = (text: string): string => `\`${text}\``

/** More fields than this are not listed: the message's own file has them. */
const mostFields = 8

export function apiTables({ services, messages }: Contract, rules: Readonly<Record<string, Rule>>): string {
  const takes = ({ request, takesStream }: Rpc): string => {
    const fields = messages.get(request) ?? []
    const listed = fields.length === 0 ? '{}' : fields.length > mostFields ? `${request}, ${fields.length} fields` : fields.join(', ')
    return `${takesStream ? 'stream of ' : ''}${code(listed)}`
  }
  const gives = ({ response, givesStream }: Rpc): string => `${givesStream ? 'stream of ' : ''}${code(response)}`
  const who = ({ service, name }: Rpc): string => {
    const rule = rules[`hive.v1.${service}/${name}`]
    return rule === undefined ? '' : [rule.role.replace('hive:', ''), ...(rule.peers === true ? ['agent'] : [])].join(', ')
  }
  const changes = ({ service, name }: Rpc): string => (rules[`hive.v1.${service}/${name}`]?.mutates === true ? 'yes' : '')
  return services
    .map(({ name, comment, rpcs }) =>
      [
        `### ${name}`,
        '',
        ...(comment === '' ? [] : [comment, '']),
        row('RPC', 'takes', 'answers', 'role', 'changes', ''),
        `|${'---|'.repeat(6)}`,
        ...rpcs.map((rpc) => row(code(rpc.name), takes(rpc), gives(rpc), who(rpc), changes(rpc), rpc.comment)),
        '',
      ].join('\n'),
    )
    .join('\n')
}
