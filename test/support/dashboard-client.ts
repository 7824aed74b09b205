/** A browser's part of the dashboard, without a browser. */
import assert from 'node:assert/strict'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'

export interface DashboardClient {
  readonly origin: string
  /** Path below which the page is. */
  readonly base: string
  readonly cookie: string
  get(path: string): Promise<{ readonly status: number; readonly text: string; readonly headers: Headers }>
  /** Fills in the question's form and sends it. */
  answer(kind: string, name: string, fields: Readonly<Record<string, string>>): Promise<number>
  /** Follows sections as they change, until one satisfies; answers its markup. `deadline` in milliseconds. */
  section(id: string, wanted: (markup: string) => boolean, deadline: number): Promise<string>
}

/** Opens the address that the command printed. */
export async function openDashboard(url: string): Promise<DashboardClient> {
  const { origin } = new URL(url)
  const opened = await fetch(url)
  assert.equal(opened.status, 200)
  await opened.text()
  const cookie = (opened.headers.get('set-cookie') ?? '').split(';')[0] ?? ''
  const base = (opened.headers.get('refresh') ?? '').replace(/^0; url=/, '')
  const get = async (path: string) => {
    const response = await fetch(`${origin}${base}${path}`, { headers: { cookie } })
    return { status: response.status, text: await response.text(), headers: response.headers }
  }
  return {
    origin,
    base,
    cookie,
    get,
    async answer(kind, name, fields) {
      const { status, text } = await get(`confirm?${new URLSearchParams({ do: kind, name })}`)
      assert.equal(status, 200, text)
      const hidden = [...text.matchAll(/type="hidden" name="(\w+)" value="([^"]*)"/g)].map(([, key = '', value = '']) => [key, value] as const)
      const body = new URLSearchParams({ ...Object.fromEntries(hidden), ...fields })
      const response = await fetch(`${origin}${base}do`, { method: 'POST', headers: { cookie, origin }, body, redirect: 'manual' })
      await response.text()
      return response.status
    },
    async section(id, wanted, deadline) {
      const signal = AbortSignal.timeout(deadline)
      const response = await fetch(`${origin}${base}events`, { headers: { cookie }, signal })
      assert.ok(response.body !== null)
      const stream = Readable.fromWeb(response.body as never)
      let last = ''
      try {
        let event = ''
        for await (const line of createInterface(stream)) {
          if (line.startsWith('event: ')) event = line.slice('event: '.length)
          if (!line.startsWith('data: ') || event !== 'section') continue
          const section = JSON.parse(line.slice('data: '.length)) as { readonly id: string; readonly html: string }
          if (section.id !== id) continue
          last = section.html
          if (wanted(last)) return last
        }
      } catch (error) {
        if (!signal.aborted) throw error
      } finally {
        stream.destroy()
      }
      throw new Error(`the section ${id} did not become what is wanted: ${last}`)
    },
  }
}
