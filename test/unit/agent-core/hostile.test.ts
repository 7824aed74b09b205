/** What anybody may send to an agent: it goes on serving. An agent in a process of its own. */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { createSecureContext } from 'node:tls'
import type { DescMethod } from '@bufbuild/protobuf'
import { ChannelCredentials, Client, Metadata, status } from '@grpc/grpc-js'
import { HostServiceClient, type InfoResponse } from '#gen/hive/v1/host.ts'
import { registry, rpcNames } from '../../../proto/descriptors.ts'
import { ask, hostName, siteCa } from './agent-bed.ts'
import { damaged, type Random, randomBytes, randomMessage, randomOf } from './random-message.ts'
import type { Issued, SiteCa } from './site-ca.ts'

const folder = mkdtempSync(join(tmpdir(), 'agent-hostile-'))
const log: Record<string, unknown>[] = []
let ca: SiteCa
let agent: ChildProcess
let port: number
let ended: string | undefined

before(async () => {
  ca = await siteCa()
  const pki = join(folder, 'pki')
  mkdirSync(pki)
  const own = await ca.issue('hive:agent', hostName)
  for (const [name, pem] of Object.entries({ ca: ca.pem, cert: own.cert, key: own.key })) writeFileSync(join(pki, `${name}.pem`), pem, { mode: 0o600 })
  agent = spawn(process.execPath, [join(import.meta.dirname, 'agent-process.ts'), folder, hostName], { stdio: ['ignore', 'pipe', 'pipe'] })
  let words = ''
  agent.stderr?.on('data', (chunk: Buffer) => {
    words += chunk.toString()
  })
  agent.once('exit', (code, signal) => {
    ended = `the agent ended (${code ?? signal}): ${words.slice(-2000)}`
  })
  port = await new Promise<number>((resolve, reject) => {
    agent.once('exit', () => reject(new Error(ended)))
    createInterface({ input: agent.stdout as NodeJS.ReadableStream }).on('line', (line) => {
      if (/^\d+$/.test(line)) resolve(Number(line))
      else log.push(JSON.parse(line) as Record<string, unknown>)
    })
  })
})

after(async () => {
  if (ended === undefined) {
    agent.kill('SIGTERM')
    await once(agent, 'exit')
  }
  rmSync(folder, { recursive: true, force: true })
})

const credentialsOf = ({ cert, key }: Issued): ChannelCredentials =>
  ChannelCredentials.createFromSecureContext(createSecureContext({ ca: ca.pem, cert, key, minVersion: 'TLSv1.3' }))
const options = { 'grpc.ssl_target_name_override': hostName, 'grpc.use_local_subchannel_pool': 1 }

/** Milliseconds that one call may take, and that a stream is listened to. */
const patience = 5000
const listening = 100

/** One call with these messages as they are. Answers the status with which it ended. */
function send(client: Client, method: DescMethod, messages: readonly Uint8Array[]): Promise<number> {
  const path = `/${method.parent.typeName}/${method.name}`
  const asIs = (bytes: Uint8Array): Buffer => Buffer.from(bytes)
  return new Promise((resolve) => {
    // Any call can be made as one that streams both ways: what is on the wire is the same.
    const call = client.makeBidiStreamRequest<Uint8Array, Buffer>(path, asIs, (bytes) => bytes, new Metadata(), { deadline: Date.now() + patience })
    let timer: NodeJS.Timeout | undefined
    call.on('status', ({ code }) => {
      clearTimeout(timer)
      resolve(code)
    })
    call.on('error', () => undefined)
    call.on('data', () => {
      if (method.methodKind !== 'unary') timer ??= setTimeout(() => call.cancel(), listening)
    })
    if (method.methodKind === 'server_streaming' || method.methodKind === 'bidi_streaming') timer = setTimeout(() => call.cancel(), 5 * listening)
    for (const message of messages) call.write(message)
    call.end()
  })
}

const methodOf = (rpc: string): DescMethod => {
  const [service = '', name] = rpc.split('/')
  const found = registry()
    .getService(service)
    ?.methods.find((method) => method.name === name)
  if (found === undefined) throw new Error(`no RPC ${rpc}`)
  return found
}

function inputs(method: DescMethod, random: Random): readonly (readonly Uint8Array[])[] {
  const streams = method.methodKind === 'client_streaming' || method.methodKind === 'bidi_streaming'
  const several = (make: () => Uint8Array): readonly Uint8Array[] => Array.from({ length: streams ? random(5) : 1 }, make)
  const message = (): Uint8Array => randomMessage(method.input, random)
  // Of a message without fields there is one; some calls take many processes each.
  const often = method.input.fields.length === 0 ? 1 : 6
  return [
    ...Array.from({ length: often }, () => several(message)),
    ...Array.from({ length: often > 1 ? 4 : 0 }, () => several(() => damaged(message(), random))),
    ...Array.from({ length: 2 }, () => several(() => randomBytes(random(400), random))),
    [],
    [message(), message(), message()],
  ]
}

test('random and damaged messages to each RPC end in an answer, and nothing else happens to the agent', async (t) => {
  const seed = Number(process.env['HIVE_FUZZ_SEED'] ?? Date.now() % 2 ** 31)
  t.diagnostic(`HIVE_FUZZ_SEED=${seed}`)
  const random = randomOf(seed)
  const clients = await Promise.all(
    ['hive:admin', 'hive:agent'].map(async (role) => new Client(`127.0.0.1:${port}`, credentialsOf(await ca.issue(role, hostName)), options)),
  )
  const [client, peer] = clients as [Client, Client]
  const endings = new Map<number, number>()
  try {
    for (const rpc of rpcNames()) {
      const method = methodOf(rpc)
      const answers = await Promise.all(inputs(method, random).map((messages, n) => send(n % 4 === 3 ? peer : client, method, messages)))
      for (const code of answers) endings.set(code, (endings.get(code) ?? 0) + 1)
      assert.equal(ended, undefined, rpc)
    }
    const reader = new HostServiceClient(`127.0.0.1:${port}`, credentialsOf(await ca.issue('hive:reader', 'me')), options)
    const { host } = await ask<InfoResponse>((...rest) => reader.info({}, ...rest))
    reader.close()
    assert.equal(host, hostName)
  } finally {
    for (const one of clients) one.close()
  }
  t.diagnostic(`endings: ${JSON.stringify([...endings].map(([code, count]) => [status[code], count]))}`)
  const unexpected = log.filter(({ msg }) => msg === 'a call failed unexpectedly')
  assert.deepEqual(
    unexpected.map(({ rpc, err }) => [rpc, (err as { readonly stack?: string }).stack]),
    [],
    'each is a defect: what a caller may send is answered with an error that says so',
  )
})

test('a thousand connections without a certificate, silent ones among them, do not keep those with one from being served', async (t) => {
  const count = 1000
  const program = join(import.meta.dirname, 'crowd.ts')
  const crowd = spawn(process.execPath, [program, String(port), hostName, join(folder, 'pki/ca.pem'), String(count)], { stdio: ['ignore', 'pipe', 'inherit'] })
  const left = once(crowd, 'exit')
  const said = new Set<string>()
  const lines = createInterface({ input: crowd.stdout as NodeJS.ReadableStream }).on('line', (line) => said.add(line))
  const told = async (word: string): Promise<void> => {
    while (!said.has(word)) await once(lines, 'line')
  }
  const serve = async (): Promise<number> => {
    const began = performance.now()
    for (let n = 0; n < 10; n++) {
      const reader = new HostServiceClient(`127.0.0.1:${port}`, credentialsOf(await ca.issue('hive:reader', 'me')), options)
      try {
        // As long as it takes: this machine may be busy.
        const { host } = await new Promise<InfoResponse>((resolve, reject) => {
          const deadline = Date.now() + 100_000
          reader.info({}, new Metadata(), { deadline }, (error, answer) => (error === null ? resolve(answer) : reject(error)))
        })
        assert.equal(host, hostName)
      } finally {
        reader.close()
      }
    }
    return Math.round((performance.now() - began) / 10)
  }
  try {
    await told('open')
    const early = said.has('gone')
    t.diagnostic(`${await serve()} ms for each of 10 calls over new connections, ${early ? 'after' : 'among'} ${count} without a certificate`)
    // Who has no certificate is shown out at once, who says nothing when its time for a handshake is over.
    await told('gone')
    t.diagnostic(`${await serve()} ms afterwards`)
    assert.equal(ended, undefined)
  } finally {
    crowd.kill('SIGKILL')
    await left
  }
})
