/**
 * `npm run bench -- --aws`: the plan of the example's aws stage, four hosts, in an empty account of an emulator of EC2, and the calls that
 * make it. The time is of the whole process, from its start to its end; the emulator's own time is measured in front of it.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Ec2, startEc2 } from '../test/ec2/ec2.ts'
import { exampleSite, exampleWant, testStage } from '../test/ec2/stage.ts'

export interface AwsFigures {
  /** Milliseconds: the whole process, its processor time, and the time in which at least one call was with the API. The best of some runs. */
  readonly plan: { readonly whole: number; readonly processor: number; readonly api: number; readonly calls: number }
  /** Calls until four hosts run; with the questions whether they do. */
  readonly creation: { readonly writes: number; readonly calls: number }
  readonly again: { readonly writes: number; readonly calls: number }
}

const runs = 3
const program = new URL('../packaging/hivecoord.mjs', import.meta.url).pathname

export async function measureAws(): Promise<AwsFigures> {
  const ec2 = await startEc2()
  try {
    const plans = []
    for (let run = 0; run < runs; run++) plans.push(await measurePlan(ec2))
    const [best] = plans.sort((a, b) => a.whole - a.api - (b.whole - b.api))
    if (best === undefined) throw new Error('nothing was measured')
    return { plan: best, ...(await countCalls(ec2)) }
  } finally {
    await ec2.stop()
  }
}

async function measurePlan(ec2: Ec2): Promise<AwsFigures['plan']> {
  await ec2.reset()
  const root = mkdtempSync(join(tmpdir(), 'hive-bench-'))
  const way = await stopwatch(ec2.endpoint)
  try {
    cpSync(exampleSite, root, { recursive: true, filter: (path) => !path.includes('.hive') })
    const env = { ...process.env, ...ec2.env, AWS_ENDPOINT_URL: way.endpoint, AWS_ENDPOINT_URL_EC2: way.endpoint, AWS_ENDPOINT_URL_EFS: way.endpoint }
    const start = performance.now()
    // The shell tells what its children took of the processor.
    const command = ['-c', '"$@"; code=$?; times; exit $code', 'sh', process.execPath, program, '--root', root, '--stage', 'staging', 'plan']
    const child = spawn('sh', command, { env, stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text
      })
    const [code] = (await once(child, 'close')) as [number | null]
    const whole = performance.now() - start
    if (code !== 0 || !said.includes('vpc-pdns')) throw new Error(`the plan ended with ${code}: ${said.slice(-2000)}`)
    return { whole, processor: processorTime(said), api: way.busy(), calls: ec2.front.calls().length }
  } finally {
    await way.stop()
    rmSync(root, { recursive: true, force: true })
  }
}

/** Milliseconds, of the last line of `times`: user and system, as 0m1.20s 0m0.31s. */
const processorTime = (said: string): number =>
  [...(said.trimEnd().split('\n').at(-1) ?? '').matchAll(/(\d+)m([\d.]+)s/g)].reduce(
    (sum, [, minutes, seconds]) => sum + Number(minutes) * 60_000 + Number(seconds) * 1000,
    0,
  )

/** Passes requests on, and adds up the milliseconds in which at least one was on its way. */
async function stopwatch(endpoint: string): Promise<{ readonly endpoint: string; busy(): number; stop(): Promise<void> }> {
  let open = 0
  let since = 0
  let busy = 0
  const server = createServer((incoming, response) => {
    if (open++ === 0) since = performance.now()
    response.once('close', () => {
      if (--open === 0) busy += performance.now() - since
    })
    const outgoing = request(`${endpoint}${incoming.url}`, { method: incoming.method, headers: incoming.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    outgoing.once('error', () => response.destroy())
    incoming.pipe(outgoing)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    busy: () => busy,
    stop: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function countCalls(ec2: Ec2): Promise<Omit<AwsFigures, 'plan'>> {
  await ec2.reset()
  const stage = testStage(await exampleWant(), { endpoint: ec2.endpoint })
  const count = async () => {
    ec2.front.forget()
    await stage.apply()
    return { writes: ec2.front.writes().length, calls: ec2.front.calls().length }
  }
  try {
    return { creation: await count(), again: await count() }
  } finally {
    stage.close()
  }
}

/** The goal: a plan takes less than this beside the API's own time. Milliseconds. */
const goal = 2_000

export function renderAws({ plan, creation, again }: AwsFigures): string {
  const own = plan.whole - plan.api
  const seconds = (milliseconds: number): string => `${(milliseconds / 1000).toFixed(2)} s`
  return [
    `plan of four hosts in an empty account: ${seconds(plan.whole)}, of that ${seconds(plan.api)} the API's (${plan.calls} calls), ${seconds(plan.processor)} of processor time; the best of ${runs}`,
    `${own < goal ? 'met   ' : 'missed'}  beside the API's own time: ${seconds(own)}, the goal is under ${seconds(goal)}`,
    `to create them: ${creation.calls} calls, ${creation.writes} of them writes; again with nothing to do: ${again.calls} calls, ${again.writes} writes`,
    '',
  ].join('\n')
}
