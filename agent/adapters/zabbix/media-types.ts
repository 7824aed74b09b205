/** Media types of a site: what Zabbix' API is to hold for mail, Slack and other webhooks, and whether it does. */
import type { ZabbixMedium } from '#gen/hive/v1/steps_repository.ts'
import type { Change, ZabbixApi } from './api.ts'

/** As Zabbix writes them; both kinds of webhook are one script with another body. */
const mail = '0'
const webhook = '4'

const script = (body: string): string => `var parameters = JSON.parse(value)
var request = new HttpRequest()
request.addHeader('Content-Type: application/json')
var answer = request.post(parameters.url, JSON.stringify(${body}))
if (request.getStatus() < 200 || request.getStatus() > 299) throw 'answered ' + request.getStatus() + ': ' + answer
return 'OK'
`

const slackBody = "{ text: '*' + parameters.subject + '*\\n' + parameters.message }"
const webhookBody = `{
  subject: parameters.subject, message: parameters.message, severity: parameters.severity, host: parameters.host,
  event: parameters.event, recovered: parameters.value === '0',
}`

const messages = [
  {
    eventsource: '0',
    recovery: '0',
    subject: '{EVENT.SEVERITY}: {HOST.NAME}: {EVENT.NAME}',
    message: '{EVENT.NAME}\n{EVENT.OPDATA}\nHost: {HOST.NAME}\nSince: {EVENT.DATE} {EVENT.TIME}\n\n{TRIGGER.DESCRIPTION}',
  },
  {
    eventsource: '0',
    recovery: '1',
    subject: 'Over after {EVENT.DURATION}: {HOST.NAME}: {EVENT.NAME}',
    message: '{EVENT.NAME}\nHost: {HOST.NAME}\nFrom {EVENT.DATE} {EVENT.TIME} to {EVENT.RECOVERY.DATE} {EVENT.RECOVERY.TIME}',
  },
]

/** What mediatype.create takes. Pure. */
export function wantedMediaType(medium: ZabbixMedium, name: string) {
  if (medium.kind === 'mail') {
    const signedIn = medium.user !== ''
    return {
      name,
      type: mail,
      status: '0',
      smtp_server: medium.server,
      smtp_port: String(medium.port),
      smtp_helo: medium.from.split('@')[1] ?? '',
      smtp_email: medium.from,
      smtp_security: { starttls: '1', tls: '2' }[medium.security] ?? '0',
      ...(medium.security === 'none' ? {} : { smtp_verify_peer: '1', smtp_verify_host: '1' }),
      smtp_authentication: signedIn ? '1' : '0',
      ...(signedIn ? { username: medium.user, passwd: medium.password } : {}),
      message_templates: messages,
    }
  }
  const common = { url: medium.url, subject: '{ALERT.SUBJECT}', message: '{ALERT.MESSAGE}' }
  const more = { severity: '{EVENT.SEVERITY}', host: '{HOST.NAME}', event: '{EVENT.ID}', value: '{EVENT.VALUE}' }
  return {
    name,
    type: webhook,
    status: '0',
    script: script(medium.kind === 'slack' ? slackBody : webhookBody),
    timeout: '15s',
    parameters: Object.entries(medium.kind === 'slack' ? common : { ...common, ...more }).map(([key, value]) => ({ name: key, value })),
    message_templates: messages,
  }
}

type Fields = Readonly<Record<string, unknown>>

/** Names of fields that differ; never their values, which may be secret. Pure. */
export const differingFields = (wanted: Fields, found: Fields): readonly string[] =>
  Object.keys(wanted).filter((field) => canonical(wanted[field]) !== canonical(found[field]))

/** Zabbix trims scripts, and tells lists in an order of its own. */
function canonical(value: unknown): string {
  if (typeof value === 'string') return value.trim().replaceAll('\r\n', '\n')
  if (!Array.isArray(value)) return JSON.stringify(value)
  const members = value.map((one) =>
    JSON.stringify(
      Object.entries(one as Fields)
        .map(([key, member]) => [key, String(member)])
        .sort(),
    ),
  )
  return members.sort().join('\n')
}

export interface MediaTypes {
  readonly changes: readonly Change[]
  /** Ids by name, of those that are there. */
  readonly ids: ReadonlyMap<string, string>
}

/** `names`: of the media types, by medium. */
export async function differingMediaTypes(api: ZabbixApi, wanted: readonly { readonly medium: ZabbixMedium; readonly name: string }[]): Promise<MediaTypes> {
  const found = await api.call<(Fields & { mediatypeid: string; name: string })[]>('mediatype.get', {
    output: 'extend',
    selectMessageTemplates: ['eventsource', 'recovery', 'subject', 'message'],
    filter: { name: wanted.map(({ name }) => name) },
  })
  const changes = wanted.flatMap(({ medium, name }): Change[] => {
    const fields = { ...wantedMediaType(medium, name), ...plainText(api, medium) }
    const there = withFormat(found.find((one) => one.name === name))
    if (there === undefined) return [{ what: `media type ${name} is missing`, apply: () => api.call('mediatype.create', fields) }]
    const differs = differingFields(fields, there)
    const { type: _, ...changeable } = fields
    return differs.length === 0
      ? []
      : [
          {
            what: `media type ${name} differs in ${differs.join(', ')}`,
            apply: () => api.call('mediatype.update', { mediatypeid: there.mediatypeid, ...(there['type'] === fields.type ? changeable : fields) }),
          },
        ]
  })
  return { changes, ids: new Map(found.map(({ name, mediatypeid }) => [name, mediatypeid])) }
}

/** 7.0.9 tells a mail's format by its name of before only, unless each field is asked for. */
const withFormat = <T extends Fields>(found: T | undefined): T | undefined =>
  found === undefined ? undefined : { message_format: found['content_type'], ...found }

/** Mail is HTML where nothing is said; the field has another name and sense since 7.0. */
const plainText = (api: ZabbixApi, { kind }: ZabbixMedium): Fields => {
  if (kind !== 'mail') return {}
  return api.atLeast(7, 0) ? { message_format: '0' } : { content_type: '0' }
}
