/**
 * The dashboard's web server. It is for the people of this machine who have the address that the command printed, and for nobody else:
 *
 * - It listens on loopback, or on a socket's path, and answers only requests that call it by a name of loopback: a page of the web whose name was made to lead
 *   here is not answered.
 * - The address has a key that opens it once. Whoever opened it has a cookie from then on, which scripts can't read and which other sites' pages don't send; the next
 *   address is told on the terminal.
 * - All else is below a path that nobody can guess, so that other servers of this machine are not sent the cookie.
 * - Pages load nothing from elsewhere and no script but their own.
 * - Changes are asked for by POST from a page of its own, with the session's second key and the name of the thing typed.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { script, style } from '#gen/dashboard.ts'
import type { Poller } from '../../coordinator/dashboard/poller.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import { html } from './html.ts'
import { isOperation, type Operator } from './operations.ts'
import { confirmPage, messagePage } from './question-page.ts'
import { page, type SectionId, sectionsOf } from './render.ts'
import type { DashboardView } from './view.ts'

export interface DashboardOptions {
  /** Whatever changes is told by these; `view` puts it together. */
  readonly pollers: readonly Pick<Poller<unknown>, 'watch' | 'next'>[]
  readonly view: () => DashboardView
  /** When hosts were last asked, for people. */
  readonly at: () => string
  /** undefined: it only shows. */
  readonly operator: Operator | undefined
  /** Called with the next address, when one was opened. */
  readonly opened: (path: string) => void
  readonly signal: AbortSignal
}

interface Session {
  readonly csrf: string
}

interface Viewer {
  readonly response: ServerResponse
  readonly sent: Map<SectionId, string>
  at: string
}

/** Milliseconds that the first page waits for the hosts' answers. */
const firstPatience = 3_000
/** Milliseconds between signs of life on a connection that nothing is sent over. */
const heartbeat = 15_000
const mostSessions = 50
const mostViewers = 50
/** Bytes. */
const mostBody = 4096
const loopbackNames = /^(?:127\.0\.0\.1|localhost|\[::1\])(?::\d{1,5})?$/

const policy = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ')

const headers: Readonly<Record<string, string>> = {
  'Content-Security-Policy': policy,
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  // With none at all, browsers do not tell where a form comes from.
  'Referrer-Policy': 'same-origin',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
}

export class Dashboard {
  readonly server: Server
  readonly #options: DashboardOptions
  readonly #base = `/${randomBytes(12).toString('hex')}/`
  readonly #cookie = `hive-${randomBytes(4).toString('hex')}`
  /** By the digest of the cookie. */
  readonly #sessions = new Map<string, Session>()
  readonly #viewers = new Set<Viewer>()
  #key = newKey()
  #watching: readonly (() => void)[] = []

  constructor(options: DashboardOptions) {
    this.#options = options
    this.server = createServer((request, response) => {
      this.#answer(request, response).catch((error: unknown) => {
        if (response.headersSent) response.destroy()
        else this.#message(response, error instanceof HiveError ? (statuses[error.code] ?? 500) : 500, messageOf(error))
      })
    })
    this.server.requestTimeout = 30_000
    options.signal.addEventListener('abort', () => this.close(), { once: true })
  }

  /** Path and key with which it can be opened, once. */
  get path(): string {
    return `/?key=${this.#key}`
  }

  close(): void {
    for (const { response } of this.#viewers) response.end()
    this.server.close()
    this.server.closeAllConnections()
    this.#rest()
  }

  /** Sends everyone what is new to them. */
  push(): void {
    if (this.#viewers.size === 0) return
    const sections = [...sectionsOf(this.#options.view())].map(([id, markup]) => [id, markup.toString()] as const)
    for (const viewer of this.#viewers) this.#send(viewer, sections)
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value)
    const host = request.headers.host ?? ''
    if (!loopbackNames.test(host)) return this.#message(response, 421, 'This is a page of this machine alone.')
    const url = new URL(request.url ?? '/', `http://${host}`)
    const method = request.method ?? ''
    if (method !== 'GET' && method !== 'POST') return this.#message(response, 405, 'It understands GET and POST.', { Allow: 'GET, POST' })
    if (method === 'GET' && url.pathname === '/' && url.searchParams.has('key')) return this.#open(response, url.searchParams.get('key') ?? '')
    const session = this.#sessionOf(request)
    if (session === undefined || !url.pathname.startsWith(this.#base)) return this.#message(response, 403, refused)
    const path = url.pathname.slice(this.#base.length)
    if (method === 'POST') return path === 'do' ? this.#do(request, response, session, host) : this.#message(response, 404, 'There is nothing here.')
    switch (path) {
      case '':
        return this.#page(response)
      case 'events':
        return this.#events(response)
      case 'style.css':
        return send(response, 200, 'text/css; charset=utf-8', style)
      case 'script.js':
        return send(response, 200, 'text/javascript; charset=utf-8', script)
      case 'confirm':
        return this.#confirm(response, session, url.searchParams)
      default:
        return this.#message(response, 404, 'There is nothing here.')
    }
  }

  #open(response: ServerResponse, key: string): void {
    if (!same(key, this.#key)) {
      this.#message(response, 403, refused)
      return
    }
    this.#key = newKey()
    const cookie = newKey()
    const oldest = this.#sessions.keys().next().value
    if (this.#sessions.size >= mostSessions && oldest !== undefined) this.#sessions.delete(oldest)
    this.#sessions.set(digest(cookie), { csrf: newKey() })
    response.setHeader('Set-Cookie', `${this.#cookie}=${cookie}; Path=${this.#base}; HttpOnly; SameSite=Strict`)
    // No redirect: after one that a link elsewhere led to, the browser would not send the cookie.
    response.setHeader('Refresh', `0; url=${this.#base}`)
    send(response, 200, 'text/html; charset=utf-8', messagePage('Opened', html`<p><a href="${this.#base}">The dashboard</a></p>`, this.#base))
    this.#options.opened(this.path)
  }

  #sessionOf({ headers: { cookie = '' } }: IncomingMessage): Session | undefined {
    const value = cookie
      .split(';')
      .map((part) => part.trim())
      .find((part) => part.startsWith(`${this.#cookie}=`))
      ?.slice(this.#cookie.length + 1)
    return value === undefined ? undefined : this.#sessions.get(digest(value))
  }

  async #page(response: ServerResponse): Promise<void> {
    await Promise.all(this.#options.pollers.map((poller) => poller.next(firstPatience)))
    send(response, 200, 'text/html; charset=utf-8', page(this.#options.view(), { base: this.#base, at: this.#options.at() }))
  }

  #events(response: ServerResponse): void {
    if (this.#viewers.size >= mostViewers) {
      this.#message(response, 503, 'Too many pages are open.')
      return
    }
    response.writeHead(200, { 'Content-Type': 'text/event-stream; charset=utf-8' })
    response.write('retry: 2000\n\n')
    const viewer: Viewer = { response, sent: new Map(), at: '' }
    this.#viewers.add(viewer)
    const beat = setInterval(() => response.write(':\n\n'), heartbeat)
    // What it missed while it did not take anything.
    response.on('drain', () => this.push())
    response.on('error', () => response.destroy())
    response.on('close', () => {
      clearInterval(beat)
      this.#viewers.delete(viewer)
      if (this.#viewers.size === 0) this.#rest()
    })
    if (this.#watching.length === 0) this.#watching = this.#options.pollers.map((poller) => poller.watch(() => this.push()))
    this.push()
  }

  #rest(): void {
    for (const end of this.#watching) end()
    this.#watching = []
  }

  #send(viewer: Viewer, sections: readonly (readonly [SectionId, string])[]): void {
    const { response, sent } = viewer
    if (response.writableNeedDrain || response.writableEnded) return
    for (const [id, markup] of sections) {
      if (sent.get(id) === markup) continue
      sent.set(id, markup)
      response.write(`event: section\ndata: ${JSON.stringify({ id, html: markup })}\n\n`)
    }
    const at = this.#options.at()
    if (viewer.at !== at) response.write(`event: at\ndata: ${JSON.stringify(at)}\n\n`)
    viewer.at = at
  }

  async #confirm(response: ServerResponse, { csrf }: Session, asked: URLSearchParams): Promise<void> {
    const { operator, signal } = this.#options
    if (operator === undefined) return this.#message(response, 403, readOnly)
    const kind = asked.get('do') ?? ''
    if (!isOperation(kind)) return this.#message(response, 404, 'There is no such operation.')
    const question = await operator.question(kind, asked.get('name') ?? '', signal)
    send(response, 200, 'text/html; charset=utf-8', confirmPage(question, { base: this.#base, csrf }))
  }

  async #do(request: IncomingMessage, response: ServerResponse, { csrf }: Session, host: string): Promise<void> {
    const { operator } = this.#options
    if (operator === undefined) return this.#message(response, 403, readOnly)
    if (request.headers.origin !== `http://${host}`) return this.#message(response, 403, 'This comes from another page.')
    if (!/^application\/x-www-form-urlencoded\b/.test(request.headers['content-type'] ?? '')) return this.#message(response, 415, 'A form is expected.')
    const form = new URLSearchParams(await bodyOf(request))
    const given = (name: string): string => form.get(name) ?? ''
    if (!same(given('csrf'), csrf)) return this.#message(response, 403, 'This comes from another page.')
    const kind = given('do')
    if (!isOperation(kind)) return this.#message(response, 404, 'There is no such operation.')
    const name = given('name')
    if (name === '' || given('confirm').trim() !== name) return this.#message(response, 400, `Nothing was done: it is done where ${name} is typed.`)
    const replicas = /^\d{1,4}$/.test(given('replicas')) ? Number(given('replicas')) : undefined
    operator.begin({ kind, name, replicas })
    response.setHeader('Location', this.#base)
    send(response, 303, 'text/plain; charset=utf-8', '')
  }

  #message(response: ServerResponse, status: number, text: string, more: Readonly<Record<string, string>> = {}): void {
    for (const [name, value] of Object.entries(more)) response.setHeader(name, value)
    send(response, status, 'text/html; charset=utf-8', messagePage('Dashboard', html`<p>${text}</p>`, undefined))
  }
}

const refused = 'The address that hivecoord dashboard printed opens this page, once; the next one is printed then.'
const readOnly = 'This page only shows: hivecoord dashboard --operate lets it do something.'
const statuses: Readonly<Record<string, number>> = { 'not-found': 404, 'invalid-input': 400, conflict: 409, unreachable: 503 }

const newKey = (): string => randomBytes(24).toString('base64url')
const digest = (text: string): string => createHash('sha256').update(text).digest('base64')
const same = (one: string, other: string): boolean => timingSafeEqual(Buffer.from(digest(one)), Buffer.from(digest(other)))

function send(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) })
  response.end(body)
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of request as AsyncIterable<Buffer>) {
    length += piece.length
    if (length > mostBody) throw new HiveError('invalid-input', 'That is too much.')
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString('utf8')
}
