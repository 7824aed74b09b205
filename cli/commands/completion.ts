/** `hivecoord completion bash`: a completion script; it asks `hivecoord complete WORDS…` for candidates. */
import type { Command } from 'commander'
import { callableRpcs } from '../../coordinator/client/call.ts'
import { phaseNames } from '../../coordinator/events.ts'
import { settingDefinitions } from '../../coordinator/inventory/settings.ts'
import { stageNames } from '../../coordinator/inventory/site.ts'
import { leftVolumes } from '../../coordinator/run/delete-volume.ts'
import { listRuns } from '../../coordinator/run/journal.ts'
import type { App } from '../app.ts'
import { candidatesFor, placeOf } from '../complete.ts'

/** Folders and files where there is nothing to propose. */
const bash = `_hivecoord() {
  local IFS=$'\\n'
  COMPREPLY=( $(compgen -W "$(hivecoord complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)" -- "\${COMP_WORDS[COMP_CWORD]}") )
}
complete -o bashdefault -o default -F _hivecoord hivecoord`

/** Options of the line that decide which site is asked. */
const decisive = ['--root', '--stage', '--inventory', '--context-dir'] as const

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
      const { given } = placeOf(program, words.slice(0, -1))
      for (const long of decisive) {
        const value = given.get(long)
        if (value !== undefined) program.setOptionValue(long === '--context-dir' ? 'contextDir' : long.slice(2), value)
      }
      const site = async () => (await app().open()).site
      const candidates = await candidatesFor(program, words, {
        hosts: async () => (await site()).hosts.map(({ shortName }) => shortName),
        services: async () => (await site()).services.map(({ name }) => name),
        volumes: async () => (await site()).volumes.map(({ name }) => name),
        leftVolumes: async () => leftVolumes(await site()),
        runs: async () => listRuns((await site()).contextDir, 20).map(({ runId }) => runId),
        phases: phaseNames,
        stages: stageNames,
        settings: settingDefinitions.filter(({ scope }) => scope !== 'none').map(({ name }) => name),
        rpcs: callableRpcs(),
      })
      process.stdout.write(`${candidates.join('\n')}\n`)
    })
}
