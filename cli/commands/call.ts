/** `hivecoord call HOST Service/Method JSON`: any RPC of a host's agent, by the agent's own descriptors. */
import type { Command } from 'commander'
import { callRpc } from '../../coordinator/client/call.ts'
import { answering } from '../../coordinator/client/site-agents.ts'
import { HiveError, messageOf } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { findHost } from './find-host.ts'

export function registerCall(program: Command, app: () => App): void {
  program
    .command('call')
    .description("call an RPC of one host's agent, for repair by hand: hivecoord call HOST SwarmService/ListNodes '{}'")
    .argument('<host>')
    .argument('<method>', 'Service/Method')
    .argument('[json]', 'the request', '{}')
    .action(async (name: string, method: string, text: string) => {
      const { open, signal, renderer } = app()
      const stage = await open()
      const client = await answering(stage.agents, findHost(stage.site, name).name, signal)
      for await (const answer of callRpc({ client, method, json: parse(text), signal })) renderer.result(answer, JSON.stringify(answer, undefined, 2))
    })
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new HiveError('invalid-input', `the request is not JSON: ${messageOf(error)}`, { hint: `write it as '{"name": "value"}'` })
  }
}
