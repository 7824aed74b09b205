/**
 * A stage whose agents are reached through ssh, as a command has it: takes {root} and then, line by line, what to do; answers each by a
 * line. Runs in the stage's network.
 *
 *   {"do": "reach"}                 {"hosts": {HOST: "ok" or the error's code}, "milliseconds": n, "messages": {HOST: text}}
 *   {"do": "info", "host": HOST}    {"version": …} or {"error": code, "message": text}
 *   {"do": "deploy" | "plan"}       {"ok": …, "errors": […]}, {"open": n, "milliseconds": n}
 */
import { createInterface } from 'node:readline'
import { openStage } from '../../../coordinator/index.ts'
import { HiveError, messageOf } from '../../../proto/errors.ts'

interface Order {
  readonly do: 'reach' | 'info' | 'deploy' | 'plan'
  readonly host?: string
}

const { signal } = new AbortController()
const stage = await openStage({ root: process.argv[2] ?? '', writes: true, emit: () => undefined, signal })
const { provider } = stage
// The one thing in which this stage differs from another of this machine. `wrongPort`: what the provider knows is out of date.
const wrongPort = process.argv[3] === 'wrong-port'
Object.defineProperty(stage, 'provider', {
  value: {
    ...provider,
    agentsOverSsh: true,
    sshTarget: (...args: Parameters<typeof provider.sshTarget>) => ({ ...provider.sshTarget(...args), ...(wrongPort ? { port: 2222 } : {}) }),
  },
})

async function carryOut(order: Order): Promise<unknown> {
  const started = performance.now()
  const names = stage.site.hosts.map(({ name }) => name)
  switch (order.do) {
    case 'reach': {
      for (const name of names) stage.agents.forget(name)
      const reached = [...(await stage.agents.reachAll(names))]
      return {
        hosts: Object.fromEntries(reached.map(([name, answer]) => [name, 'error' in answer ? answer.error.code : 'ok'])),
        messages: Object.fromEntries(reached.flatMap(([name, answer]) => ('error' in answer ? [[name, answer.error.message]] : []))),
        milliseconds: performance.now() - started,
      }
    }
    case 'info':
      try {
        const client = await stage.agents.client(order.host ?? '')
        return { version: (await client.hostService.info({}, { deadline: 20_000 })).version }
      } catch (error) {
        return { error: error instanceof HiveError ? error.code : 'other', message: messageOf(error) }
      }
    case 'deploy': {
      const { ok, errors } = await stage.deploy()
      return { ok, errors }
    }
    case 'plan': {
      const reports = await stage.plan()
      const open = reports.flatMap(({ steps }) => steps).filter(({ outcome }) => outcome.kind !== 'ok').length
      return { open, milliseconds: performance.now() - started }
    }
  }
}

for await (const line of createInterface(process.stdin)) process.stdout.write(`${JSON.stringify(await carryOut(JSON.parse(line) as Order))}\n`)
stage.close()
process.exit()
