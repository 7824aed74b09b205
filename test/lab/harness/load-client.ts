/**
 * Asks a service for its page at a steady pace and writes a line (Answered) for each request, until it is ended. Runs in the stage's network.
 * As a client with several addresses of a name does, each request begins at another address and goes on to the next where one does not
 * answer; it has failed where none did. Arguments: milliseconds between requests, the expected body, then the addresses as URLs.
 */
import { type Answered, patience } from './load.ts'

const [pause = '', body = '', ...urls] = process.argv.slice(2)
let number = 0

async function ask(first: number): Promise<Answered> {
  const at = Date.now()
  const began = performance.now()
  const tries: string[] = []
  for (let index = 0; index < urls.length; index++) {
    const url = urls[(first + index) % urls.length] ?? ''
    try {
      const response = await fetch(url, { signal: AbortSignal.timeout(patience), headers: { connection: 'close' } })
      const text = await response.text()
      if (response.status === 200 && text.trim() === body) return { at, milliseconds: performance.now() - began, from: url, tries }
      tries.push(`${url}: ${response.status} ${text.trim().slice(0, 40)}`)
    } catch (error) {
      const { cause, message } = error as Error
      tries.push(`${url}: ${cause instanceof Error && 'code' in cause ? String(cause.code) : message}`)
    }
  }
  return { at, milliseconds: performance.now() - began, from: undefined, tries }
}

setInterval(() => {
  void ask(number++).then((answered) => process.stdout.write(`${JSON.stringify(answered)}\n`))
}, Number(pause))
