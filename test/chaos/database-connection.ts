/**
 * As much of MariaDB's protocol as a client needs that sends statements and reads whole numbers: protocol 10, mysql_native_password, text results.
 * https://mariadb.com/kb/en/clientserver-protocol/
 */
import { createHash } from 'node:crypto'
import { connect, type Socket } from 'node:net'

export interface Account {
  readonly user: string
  readonly password: string
  readonly database: string
}

/** LONG_PASSWORD, CONNECT_WITH_DB, PROTOCOL_41, SECURE_CONNECTION, PLUGIN_AUTH. */
const capabilities = 0x1 | 0x8 | 0x200 | 0x8000 | 0x80000
const utf8 = 33
const plugin = 'mysql_native_password'
const largestPacket = 1 << 24

const sha1 = (...parts: readonly (Buffer | string)[]): Buffer => parts.reduce((hash, part) => hash.update(part), createHash('sha1')).digest()

/** What proves the password for a server's 20 random bytes. */
export function proofOf(password: string, random: Buffer): Buffer {
  const once = sha1(password)
  const mask = sha1(random, sha1(once))
  return once.map((byte, index) => byte ^ (mask[index] ?? 0)) as Buffer
}

/** The random bytes of a server's first packet. Throws where it is another protocol, or a refusal. */
export function randomOf(greeting: Buffer): Buffer {
  if (greeting[0] === 0xff) throw refusal(greeting)
  if (greeting[0] !== 10) throw new Error(`protocol ${greeting[0]}`)
  const end = greeting.indexOf(0, 1)
  const first = greeting.subarray(end + 5, end + 13)
  // Behind them: 1 + 2 + 1 + 2 + 2 + 1 + 10 bytes of capabilities, character set and status.
  return Buffer.concat([first, greeting.subarray(end + 13 + 19, end + 13 + 19 + 12)])
}

const refusal = (packet: Buffer): Error =>
  new Error(
    `${packet.readUInt16LE(1)} ${packet
      .subarray(3)
      .toString()
      .replace(/^#\w{5}/, '')}`,
  )

/** Packets of a stream: 3 bytes of length, one of sequence, then the content. */
export class Packets {
  #rest: Buffer = Buffer.alloc(0)

  /** What is whole with these bytes. */
  take(bytes: Buffer): readonly { readonly sequence: number; readonly content: Buffer }[] {
    this.#rest = Buffer.concat([this.#rest, bytes])
    const whole: { sequence: number; content: Buffer }[] = []
    while (this.#rest.length >= 4 && this.#rest.length >= 4 + this.#rest.readUIntLE(0, 3)) {
      const end = 4 + this.#rest.readUIntLE(0, 3)
      whole.push({ sequence: this.#rest[3] ?? 0, content: this.#rest.subarray(4, end) })
      this.#rest = this.#rest.subarray(end)
    }
    return whole
  }
}

export function packet(sequence: number, content: Buffer): Buffer {
  const head = Buffer.alloc(4)
  head.writeUIntLE(content.length, 0, 3)
  head[3] = sequence
  return Buffer.concat([head, content])
}

const text = (value: string): Buffer => Buffer.from(`${value}\0`)

function logIn({ user, password, database }: Account, random: Buffer): Buffer {
  const fixed = Buffer.alloc(32)
  fixed.writeUInt32LE(capabilities, 0)
  fixed.writeUInt32LE(largestPacket, 4)
  fixed[8] = utf8
  const proof = proofOf(password, random)
  return Buffer.concat([fixed, text(user), Buffer.from([proof.length]), proof, text(database), text(plugin)])
}

export class DatabaseConnection {
  readonly #socket: Socket
  readonly #packets = new Packets()
  readonly #waiting: { content: Buffer; sequence: number }[] = []
  #wake: (() => void) | undefined
  #failure: Error | undefined

  private constructor(socket: Socket) {
    this.#socket = socket
    socket.on('data', (bytes) => {
      this.#waiting.push(...this.#packets.take(bytes))
      this.#wake?.()
    })
    const fail = (error?: Error): void => {
      this.#failure ??= error ?? new Error('the connection was closed')
      this.#wake?.()
    }
    socket.on('error', fail)
    socket.on('close', () => fail())
  }

  /** Logged in. Rejects where that did not come about within `deadline` milliseconds. */
  static async open(address: string, port: number, account: Account, deadline: number): Promise<DatabaseConnection> {
    const connection = new DatabaseConnection(connect({ host: address, port }))
    try {
      const greeting = await connection.#next(deadline)
      connection.#socket.write(packet(greeting.sequence + 1, logIn(account, randomOf(greeting.content))))
      const answer = await connection.#next(deadline)
      if (answer.content[0] === 0xff) throw refusal(answer.content)
      if (answer.content[0] === 0xfe) throw new Error('another kind of log-in is asked for')
      return connection
    } catch (error) {
      connection.close()
      throw error
    }
  }

  /** The first column of what a statement answers; empty for one that answers nothing. Rejects as the server refuses, and after `deadline` milliseconds without a word. */
  async ask(statement: string, deadline: number): Promise<readonly string[]> {
    this.#socket.write(packet(0, Buffer.concat([Buffer.from([3]), Buffer.from(statement)])))
    const { content } = await this.#next(deadline)
    if (content[0] === 0xff) throw refusal(content)
    if (content[0] === 0) return []
    await this.#until(deadline)
    return (await this.#until(deadline)).map((row) => row.subarray(1, 1 + (row[0] ?? 0)).toString())
  }

  /** Packets up to the next end of a list. */
  async #until(deadline: number): Promise<readonly Buffer[]> {
    const found: Buffer[] = []
    for (;;) {
      const { content } = await this.#next(deadline)
      if (content[0] === 0xff) throw refusal(content)
      if (content[0] === 0xfe && content.length < 9) return found
      found.push(content)
    }
  }

  async #next(deadline: number): Promise<{ readonly content: Buffer; readonly sequence: number }> {
    const end = performance.now() + deadline
    for (;;) {
      const first = this.#waiting.shift()
      if (first !== undefined) return first
      if (this.#failure !== undefined) throw this.#failure
      const left = end - performance.now()
      if (left <= 0) throw new Error(`no answer within ${deadline} ms`)
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, left)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
  }

  close(): void {
    this.#socket.destroy()
  }
}
