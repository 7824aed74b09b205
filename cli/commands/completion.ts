/** `hivecoord completion bash`: a completion script; it asks `hivecoord complete WORDS…` for candidates. */
import type { Command } from 'commander'
import { stageNames } from '../../coordinator/inventory/site.ts'
import type { App } from '../app.ts'

const bash = `_hivecoord() {
  local IFS=$'\\n'
  COMPREPLY=( $(compgen -W "$(hivecoord complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}") )
}
complete -F _hivecoord hivecoord`

const takesHost = new Set(['ssh', 'node', 'call', 'lab'])
const takesService = new Set(['exec', 'logs'])

export function registerCompletion(program: Command, app: () => App): void {
  program
    .command('completion')
    .description('print a completion script: eval "$(hivecoord completion bash)"')
    .argument('[shell]', 'bash', 'bash')
    .action(() => void process.stdout.write(`${bash}\n`))
  program
    .command('complete', { hidden: true })
    .argument('[words...]')
    .action(async (words: string[]) => {
      const before = words.slice(0, -1)
      const candidates = await candidatesFor(program, before, app)
      process.stdout.write(`${candidates.join('\n')}\n`)
    })
}

async function candidatesFor(program: Command, before: readonly string[], app: () => App): Promise<readonly string[]> {
  const last = before.at(-1)
  if (last === '--stage' || last === '-s') return stageNames
  const command = program.commands.find(({ name }) => before.includes(name()))
  if (command === undefined) return program.commands.map((c) => c.name()).filter((name) => name !== 'complete')
  const site = async () => (await app().open()).site
  if (last === '--limit' || last === '-l') return [...(await site()).services.map((s) => s.name), ...(await site()).hosts.map((h) => h.shortName)]
  if (takesService.has(command.name())) return (await site()).services.map((s) => s.name)
  const nested = command.commands.find((c) => before.includes(c.name()))
  if (command.commands.length > 0 && nested === undefined) return command.commands.map((c) => c.name())
  if (takesHost.has(command.name())) return (await site()).hosts.map((h) => h.shortName)
  return command.options.map((o) => o.long ?? '').filter((o) => o !== '')
}
