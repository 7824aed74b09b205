/** Who is answered, and what with; spoken to by HTTP on loopback. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request } from 'node:http'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { openDashboard } from '../../support/dashboard-client.ts'
import { dashboardBed } from './bed.ts'
import { example } from './example-facts.ts'

interface Answer {
  readonly status: number
  readonly body: string
}

/** By Node's own client: it sends the headers that a browser would not let a page choose. */
async function ask(url: string, headers: Readonly<Record<string, string>>, method = 'GET', body = ''): Promise<Answer> {
  const asked = request(url, { method, headers })
  asked.end(body)
  const [response] = (await once(asked, 'response')) as [import('node:http').IncomingMessage]
  return { status: response.statusCode ?? 0, body: await text(response) }
}

test('the printed address opens the page once, and the next one is told', async (t) => {
  const bed = await dashboardBed(t, example())
  const url = bed.url()
  const client = await openDashboard(url)
  assert.equal((await fetch(url)).status, 403)
  assert.equal(bed.told.length, 1)
  assert.notEqual(bed.origin + (bed.told[0] ?? ''), url)
  const page = await client.get('')
  assert.equal(page.status, 200)
  assert.match(page.text, /<h1>example\.org <small>production<\/small><\/h1>/)
  const other = await openDashboard(bed.origin + (bed.told[0] ?? ''))
  assert.equal((await other.get('')).status, 200)
  assert.equal((await client.get('')).status, 200)
})

test('nothing is told to those who did not open it', async (t) => {
  const bed = await dashboardBed(t, example())
  const { base, cookie, origin } = await openDashboard(bed.url())
  const [name = ''] = cookie.split('=')
  for (const path of ['', 'events', 'style.css', 'script.js', 'confirm?do=restart&name=web', 'nothing']) {
    for (const headers of [{}, { cookie: `${name}=AAAA` }, { cookie: cookie.replace(name, 'other') }]) {
      const { status, body } = await ask(`${origin}${base}${path}`, headers)
      assert.equal(status, 403, path)
      assert.doesNotMatch(body, /example\.org|hive0|grafana/)
    }
  }
  for (const path of ['/', '/?key=', '/?key=wrong', '/events', '/../etc/passwd', `/${'a'.repeat(24)}/`])
    assert.equal((await ask(origin + path, path.includes('key') ? {} : { cookie })).status, 403, path)
  assert.equal((await ask(`${origin}${base}nothing`, { cookie })).status, 404)
  assert.equal((await ask(`${origin}${base}`, { cookie }, 'PUT')).status, 405)
})

test('a request that calls it by another name than loopback is not answered', async (t) => {
  const bed = await dashboardBed(t, example())
  const { base, cookie, origin } = await openDashboard(bed.url())
  const port = new URL(origin).port
  for (const host of [`evil.example:${port}`, `127.0.0.1.evil.example:${port}`, `localhost.evil.example`, '192.0.2.1', '0.0.0.0', '127.0.0.1@evil.example'])
    assert.notEqual((await ask(`${origin}${base}`, { cookie, host })).status, 200, host)
  assert.equal((await ask(`${origin}${base}`, { cookie, host: 'evil.example' })).status, 421)
  // A port that ssh forwards has another number.
  for (const host of [`localhost:${port}`, '127.0.0.1:9999', `[::1]:${port}`]) assert.equal((await ask(`${origin}${base}`, { cookie, host })).status, 200, host)
})

test('pages load nothing from elsewhere, are kept nowhere, and are in no frame', async (t) => {
  const bed = await dashboardBed(t, example())
  const client = await openDashboard(bed.url())
  for (const path of ['', 'style.css', 'script.js', 'confirm?do=restart&name=web', 'nothing']) {
    const { headers, text: body } = await client.get(path)
    assert.match(headers.get('content-security-policy') ?? '', /^default-src 'none'; script-src 'self'; style-src 'self';.*frame-ancestors 'none'$/)
    assert.deepEqual(
      ['cache-control', 'referrer-policy', 'x-content-type-options', 'x-frame-options', 'cross-origin-resource-policy'].map((name) => headers.get(name)),
      ['no-store', 'same-origin', 'nosniff', 'DENY', 'same-origin'],
    )
    assert.doesNotMatch(body, /https?:\/\/|\sstyle=|\son[a-z]+=|<style|<script(?! src="\/[0-9a-f]+\/script\.js" defer><\/script>)/i, path)
  }
})

test('an operation needs the form of its own page, the name typed, and a page that may operate', async (t) => {
  const bed = await dashboardBed(t, example())
  const client = await openDashboard(bed.url())
  const form = await client.get('confirm?do=restart&name=web')
  const csrf = /name="csrf" value="([^"]+)"/.exec(form.text)?.[1] ?? ''
  const fields = { csrf, do: 'restart', name: 'web', confirm: 'web' }
  const post = (changed: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}): Promise<Answer> =>
    ask(
      `${client.origin}${client.base}do`,
      { cookie: client.cookie, origin: client.origin, 'content-type': 'application/x-www-form-urlencoded', ...headers },
      'POST',
      new URLSearchParams({ ...fields, ...changed }).toString(),
    )
  const refused: readonly (readonly [number, Promise<Answer>])[] = [
    [403, post({ csrf: '' })],
    [403, post({ csrf: `${csrf}x` })],
    [400, post({ confirm: 'mail' })],
    [400, post({ confirm: '' })],
    [400, post({ name: '', confirm: '' })],
    [404, post({ do: 'destroy' })],
    [403, post({}, { origin: 'http://evil.example' })],
    [403, post({}, { origin: 'null' })],
    [403, post({}, { cookie: '' })],
    [415, post({}, { 'content-type': 'text/plain' })],
    [400, post({ more: 'x'.repeat(5000) })],
  ]
  assert.deepEqual(
    await Promise.all(refused.map(async ([, answer]) => (await answer).status)),
    refused.map(([status]) => status),
  )
  assert.equal((await ask(`${client.origin}${client.base}do`, { cookie: client.cookie })).status, 404)
  assert.deepEqual(bed.begun, [])
  assert.equal((await post({})).status, 303)
  assert.equal(await client.answer('scale', 'web', { confirm: 'web', replicas: '3' }), 303)
  assert.deepEqual(bed.begun, [
    { kind: 'restart', name: 'web', replicas: undefined },
    { kind: 'scale', name: 'web', replicas: 3 },
  ])
  assert.equal((await client.get('confirm?do=drain&name=nobody')).status, 404)
})

test('where it only shows, there is nothing to ask and nothing is done', async (t) => {
  const bed = await dashboardBed(t, example({ operates: false }))
  const client = await openDashboard(bed.url())
  assert.equal((await client.get('confirm?do=restart&name=web')).status, 403)
  const body = 'do=restart&name=web&confirm=web'
  const headers = { cookie: client.cookie, origin: client.origin, 'content-type': 'application/x-www-form-urlencoded' }
  assert.equal((await ask(`${client.origin}${client.base}do`, headers, 'POST', body)).status, 403)
})

test('changes come by themselves, only sections that changed, and nobody is asked when the last page is closed', async (t) => {
  const bed = await dashboardBed(t, example())
  const { origin, base, cookie } = await openDashboard(bed.url())
  const asked = request(`${origin}${base}events`, { headers: { cookie } })
  asked.end()
  const [stream] = (await once(asked, 'response')) as [import('node:http').IncomingMessage]
  let seen = ''
  stream.setEncoding('utf8').on('data', (piece: string) => {
    seen += piece
  })
  const sections = (): readonly string[] => [...seen.matchAll(/^event: section\ndata: \{"id":"(\w+)"/gm)].map(([, id = '']) => id)
  const until = async (done: () => boolean): Promise<void> => {
    while (!done()) await once(stream, 'data')
  }
  await until(() => sections().includes('runs'))
  assert.deepEqual(sections(), ['summary', 'tiles', 'operations', 'troubles', 'hosts', 'services', 'volumes', 'backups', 'runs'])
  seen = ''
  bed.show(example({ filled: 55 }))
  await until(() => sections().includes('volumes'))
  assert.deepEqual(sections(), ['tiles', 'volumes'])
  assert.equal(bed.looking(), 1)
  stream.on('error', () => undefined)
  asked.destroy()
  while (bed.looking() > 0) await new Promise((resolve) => setImmediate(resolve))
})
