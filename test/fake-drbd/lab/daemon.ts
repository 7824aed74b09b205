/**
 * The process that holds the fake DRBD of one lab site, outside of its hosts. It ends when its standard input does, so also when the test
 * that started it was killed, and leaves no loop device behind.
 *
 *   node daemon.ts FOLDER SITE_FOLDER SPEED
 *
 * Standard input: orders, a JSON document a line ({"id", "do", …}); standard output: "ready", then {"id", "result"} or {"id", "error"}.
 * SPEED: how many times faster than the clock DRBD's own times pass.
 */
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as pause } from 'node:timers/promises'
import { serveCalls } from './call-server.ts'
import { FakeMachine } from './fake-machine.ts'
import { Lab } from './lab.ts'
import { detachLoop, loopsBelow } from './loop-devices.ts'
import type { Order } from './orders.ts'

/** Milliseconds. */
const stepEvery = 50
const discoverEvery = 200
/** For hosts to be taken away, or at least to unmount, after the test has ended. */
const patience = 120_000

const [folder = '', siteFolder = '', speed = '1'] = process.argv.slice(2)
// Signals are for the test; whoever sends them to its whole group must not keep this from cleaning up.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
writeFileSync(join(folder, 'pid'), String(process.pid))

const machine = new FakeMachine(Number(speed), (host, text) => lab.note(`${host}: kernel: ${text}`))
const modinfo = readFileSync(new URL('modinfo-drbd.txt', import.meta.url), 'utf8')
const lab = new Lab(folder, siteFolder, machine, modinfo)
const server = await serveCalls(join(folder, 'shared/socket'), (call, reply) =>
  lab.answer(call, reply).catch((error: unknown) => {
    lab.note(error instanceof Error ? (error.stack ?? error.message) : String(error))
    reply.err(`FAKE: ${String(error)}\n`)
    reply.end(20)
  }),
)

/** One look that fails must not end the lab: it is written down, and the next one follows. */
const often = (work: () => void, every: number): NodeJS.Timeout =>
  setInterval(() => {
    try {
      work()
    } catch (error) {
      lab.note(error instanceof Error ? (error.stack ?? error.message) : String(error))
    }
  }, every)
const timers = [often(() => lab.discover(), discoverEvery), often(() => lab.step(), stepEvery)]
process.stdout.write('ready\n')

function carryOut(order: Order): unknown {
  switch (order.do) {
    case 'raceOnReturn':
      return machine.raceOnReturn()
    case 'replaceDisk':
      return lab.replaceDisk(order.host, order.volume)
    case 'fillPool':
      return lab.fillPool(order.host, order.full)
    case 'renumber':
      return machine.renumber(order.host, order.path, order.nodeId)
    case 'run':
      return machine.run(order.host, order.argv)
  }
}

for await (const line of createInterface(process.stdin)) {
  const { id, ...order } = JSON.parse(line) as Order & { readonly id: number }
  try {
    process.stdout.write(`${JSON.stringify({ id, result: (await carryOut(order)) ?? null })}\n`)
  } catch (error) {
    process.stdout.write(`${JSON.stringify({ id, error: String(error) })}\n`)
  }
}

for (const timer of timers) clearInterval(timer)
server.close()
await lab.stop()
const end = performance.now() + patience
for (;;) {
  const left = loopsBelow(folder)
  if (left.length === 0 || performance.now() > end) break
  for (const loop of left) detachLoop(loop)
  await pause(100)
}
rmSync(folder, { recursive: true, force: true })
process.exit()
