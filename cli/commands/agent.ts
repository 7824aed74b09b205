/** `hivecoord agent …`: the agent itself, its packages. */
import type { Command } from 'commander'
import type { App } from '../app.ts'
import { registerAgentPackage } from './agent-package.ts'

export function registerAgent(program: Command, app: () => App): void {
  const agent = program.command('agent').description("the agent's packages")
  registerAgentPackage(agent, app)
}
