/**
 * A client of the site that never gives up: asks one service at a steady pace, one question after the other, and writes a line (Attempt) for each, until its
 * standard input ends. Runs in the stage's network. Where an address does not answer it goes on to the next one, as clients with several addresses of a
 * name do. A record that may have arrived is never sent again: its number is not used any more.
 *
 *   node client.ts SETTINGS      (JSON, ClientSettings)
 *   node client.ts SETTINGS all  prints the numbers that a writer's service has, a JSON list
 */
import { Resolver } from 'node:dns/promises'
import { connect } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'
import { messageOf } from '../../proto/errors.ts'
import type { Attempt } from './account.ts'
import { type Account, DatabaseConnection } from './database-connection.ts'

export interface ClientSettings {
  readonly kind: 'records' | 'database' | 'names'
  readonly addresses: readonly string[]
  readonly port: number
  /** Milliseconds between two questions. */
  readonly every: number
  /** Of the database. */
  readonly account?: Account
  /** names: what is asked for, and the answer. */
  readonly name?: string
  readonly answer?: string
}

/** Milliseconds for an address to answer, and for a record to be acknowledged. */
const patience = 1_000
const longest = 3_000
const longestReading = 20_000

/** An address did not take the question: it can be put to another one. */
class NotTaken extends Error {}

type Ask = (address: string, number: number) => Promise<void>

/** Sends a line and answers the line that comes back. */
export function exchange(address: string, port: number, line: string, deadlines: { readonly connect: number; readonly answer: number }): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: address, port })
    let connected = false
    let said = ''
    const timer = setTimeout(() => end(new NotTaken(`no connection within ${deadlines.connect} ms`)), deadlines.connect)
    let second: NodeJS.Timeout | undefined
    const end = (error?: Error): void => {
      clearTimeout(timer)
      clearTimeout(second)
      socket.destroy()
      if (error === undefined) resolve(said)
      else reject(connected || error instanceof NotTaken ? error : new NotTaken(error.message))
    }
    socket.on('connect', () => {
      connected = true
      clearTimeout(timer)
      second = setTimeout(() => end(new Error(`no answer within ${deadlines.answer} ms`)), deadlines.answer)
      socket.write(`${line}\n`)
    })
    socket.setEncoding('utf8').on('data', (text: string) => {
      said += text
    })
    socket.on('error', end)
    socket.on('end', () => end())
  })
}

function asking({ kind, port, account, name = '', answer = '' }: ClientSettings): Ask {
  if (kind === 'records')
    return async (address, number) => {
      const said = await exchange(address, port, String(number), { connect: patience, answer: longest })
      if (said.trim() !== String(number)) throw new Error(said === '' ? 'closed without an answer' : `said ${said.slice(0, 40)}`)
    }
  if (kind === 'names') {
    return async (address) => {
      const resolver = new Resolver({ timeout: patience, tries: 1 })
      resolver.setServers([`${address}:${port}`])
      const found = await resolver.resolve4(name).catch((error: unknown) => {
        throw new NotTaken(messageOf(error))
      })
      if (found[0] !== answer) throw new NotTaken(`answered ${found.join(', ')}`)
    }
  }
  let open: { readonly address: string; readonly connection: DatabaseConnection } | undefined
  return async (address, number) => {
    if (account === undefined) throw new Error('the database needs an account')
    try {
      if (open?.address !== address) {
        open?.connection.close()
        open = undefined
        const connection = await DatabaseConnection.open(address, port, account, patience)
        open = { address, connection }
        await connection.ask('CREATE TABLE IF NOT EXISTS records (number BIGINT PRIMARY KEY) ENGINE=InnoDB', longest)
      }
    } catch (error) {
      open?.connection.close()
      open = undefined
      throw new NotTaken(messageOf(error))
    }
    try {
      await open.connection.ask(`INSERT INTO records VALUES (${number})`, longest)
    } catch (error) {
      open.connection.close()
      open = undefined
      throw error
    }
  }
}

async function main(settings: ClientSettings): Promise<void> {
  const { kind, addresses, every } = settings
  const ask = asking(settings)
  const writes = kind !== 'names'
  let ended = false
  process.stdin.on('end', () => {
    ended = true
  })
  process.stdin.resume()
  let number = 0
  let at = 0
  while (!ended) {
    const began = Date.now()
    number += 1
    const tries: string[] = []
    let from: string | undefined
    for (let count = 0; count < addresses.length && from === undefined; count += 1) {
      const address = addresses[at % addresses.length] ?? ''
      try {
        await ask(address, number)
        from = address
      } catch (error) {
        tries.push(`${address}: ${messageOf(error)}`)
        at += 1
        if (!(error instanceof NotTaken)) break
      }
    }
    // Readers take turns; writers stay where they were answered.
    if (!writes) at += 1
    const attempt: Attempt = {
      at: began,
      end: Date.now(),
      ok: from !== undefined,
      ...(writes ? { number } : {}),
      ...(from === undefined ? { why: tries.join('; ') } : { from }),
    }
    process.stdout.write(`${JSON.stringify(attempt)}\n`)
    await pause(Math.max(20, began + every - Date.now()))
  }
  process.exit()
}

/** Rejects where no address tells. */
async function readBack({ kind, addresses, port, account }: ClientSettings): Promise<readonly number[]> {
  const errors: string[] = []
  for (const address of addresses) {
    try {
      if (kind === 'records') return numbersIn((await exchange(address, port, 'all', { connect: patience, answer: longestReading })).split('\n'))
      if (account === undefined) throw new Error('the database needs an account')
      const connection = await DatabaseConnection.open(address, port, account, patience)
      try {
        return numbersIn(await connection.ask('SELECT number FROM records', longestReading))
      } finally {
        connection.close()
      }
    } catch (error) {
      errors.push(`${address}: ${messageOf(error)}`)
    }
  }
  throw new Error(errors.join('; '))
}

const numbersIn = (lines: readonly string[]): readonly number[] => lines.flatMap((line) => (line.trim() === '' ? [] : [Number(line)]))

if (process.argv[1] === import.meta.filename && process.argv[3] === 'all') {
  process.stdout.write(JSON.stringify(await readBack(JSON.parse(process.argv[2] ?? '') as ClientSettings)))
  process.exit()
}
if (process.argv[1] === import.meta.filename) await main(JSON.parse(process.argv[2] ?? '') as ClientSettings)
