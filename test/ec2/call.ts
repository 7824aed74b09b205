/** What a client asked: parsed from the request, before anything is done with it. */
import { randomUUID } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { make, writeXml } from './xml.ts'

export interface Call {
  /** As in the credential scope: ec2, elasticfilesystem, sts … */
  readonly service: string
  readonly region: string
  readonly action: string
  /** Query protocol: its form fields (`Filter.1.Value.2`). EFS: the fields of body and query, nested ones as JSON text. */
  readonly params: Readonly<Record<string, string>>
  readonly write: boolean
  /** Changed while it is handled: HTTP status of the answer, 0 while there is none; the error code in it; whether the emulator got it. */
  status: number
  error: string | undefined
  performed: boolean
}

export interface Request {
  readonly method: string
  /** With the query. */
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
}

export interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string
  readonly headers?: Readonly<Record<string, string>>
}

const efsActions: readonly (readonly [string, RegExp, string])[] = [
  ['POST', /^\/file-systems$/, 'CreateFileSystem'],
  ['GET', /^\/file-systems(\/[^/]+)?$/, 'DescribeFileSystems'],
  ['PUT', /^\/file-systems\/[^/]+$/, 'UpdateFileSystem'],
  ['DELETE', /^\/file-systems\/[^/]+$/, 'DeleteFileSystem'],
  ['PUT', /\/lifecycle-configuration$/, 'PutLifecycleConfiguration'],
  ['GET', /\/lifecycle-configuration$/, 'DescribeLifecycleConfiguration'],
  ['PUT', /\/backup-policy$/, 'PutBackupPolicy'],
  ['GET', /\/backup-policy$/, 'DescribeBackupPolicy'],
  ['PUT', /\/policy$/, 'PutFileSystemPolicy'],
  ['GET', /\/policy$/, 'DescribeFileSystemPolicy'],
  ['DELETE', /\/policy$/, 'DeleteFileSystemPolicy'],
  ['POST', /^\/mount-targets$/, 'CreateMountTarget'],
  ['GET', /^\/mount-targets$/, 'DescribeMountTargets'],
  ['DELETE', /^\/mount-targets\/[^/]+$/, 'DeleteMountTarget'],
  ['GET', /\/security-groups$/, 'DescribeMountTargetSecurityGroups'],
  ['PUT', /\/security-groups$/, 'ModifyMountTargetSecurityGroups'],
  ['GET', /^\/resource-tags\//, 'ListTagsForResource'],
  ['POST', /^\/resource-tags\//, 'TagResource'],
  ['DELETE', /^\/resource-tags\//, 'UntagResource'],
]

/** The call of a request. Unsigned requests are of region `none`. */
export function readCall({ method, path, headers, body }: Request): Call {
  const scope = /Credential=[^/]*\/\d+\/([^/]+)\/([^/]+)\//.exec(headers.authorization ?? '')
  const [region = 'none', service = 'ec2'] = scope === null ? [] : scope.slice(1)
  const url = new URL(path, 'http://front')
  const answerless = { status: 0, error: undefined, performed: false }
  if (service === 'elasticfilesystem') {
    const short = url.pathname.replace(/^\/[\d-]+(?=\/)/, '')
    const action = efsActions.find(([verb, pattern]) => verb === method && pattern.test(short))?.[2] ?? `${method} ${short}`
    const id = /^\/[^/]+\/([^/]+)/.exec(short)?.[1]
    const params = { ...Object.fromEntries(url.searchParams), ...fields(body), ...(id === undefined ? {} : { Id: decodeURIComponent(id) }) }
    return { service, region, action, params, write: method !== 'GET', ...answerless }
  }
  const params = Object.fromEntries(new URLSearchParams(body === '' ? url.search : body))
  const action = params['Action'] ?? `${method} ${url.pathname}`
  const write = !/^(Describe|Get|List|Search|AssumeRole)/.test(action) && params['DryRun'] !== 'true'
  return { service, region, action, params, write, ...answerless }
}

function fields(body: string): Record<string, string> {
  if (!body.startsWith('{')) return {}
  const value = JSON.parse(body) as Record<string, unknown>
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, typeof each === 'string' ? each : JSON.stringify(each)]))
}

/** `base.1`, `base.2` … in order. */
export const list = (params: Readonly<Record<string, string>>, base: string): string[] =>
  Object.entries(params)
    .filter(([key]) => new RegExp(`^${base}\\.\\d+$`).test(key))
    .map(([, value]) => value)

/** An error as the service of the call writes it. */
export function errorAnswer(call: Pick<Call, 'service'>, status: number, code: string, message: string): Answer {
  if (call.service === 'elasticfilesystem')
    return { status, type: 'application/json', body: JSON.stringify({ ErrorCode: code, Message: message }), headers: { 'x-amzn-errortype': code } }
  const error = make('Error', ...(call.service === 'ec2' ? [] : [make('Type', 'Sender')]), make('Code', code), make('Message', message))
  const body =
    call.service === 'ec2'
      ? make('Response', make('Errors', error), make('RequestID', randomUUID()))
      : make('ErrorResponse', error, make('RequestId', randomUUID()))
  return { status, type: 'text/xml', body: writeXml(body) }
}
