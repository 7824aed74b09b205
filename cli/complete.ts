/** What may follow on an unfinished command line. Pure: what only the site knows is asked through `Known`. */
import type { Command, Option } from 'commander'

/** Words that the site, its settings and its runs give. */
export interface Known {
  hosts(): Promise<readonly string[]>
  services(): Promise<readonly string[]>
  volumes(): Promise<readonly string[]>
  /** Mirrored volumes that the inventory has no more. */
  leftVolumes(): Promise<readonly string[]>
  runs(): Promise<readonly string[]>
  readonly phases: readonly string[]
  readonly stages: readonly string[]
  readonly settings: readonly string[]
  readonly rpcs: readonly string[]
}

type Source = (known: Known) => readonly string[] | Promise<readonly string[]>

const named: Source = async (known) => [...(await known.services()), ...(await known.hosts()), ...(await known.volumes())]

/** Command path and position of the argument → its values. */
const argumentSources: Readonly<Record<string, Source>> = {
  'ssh 0': (known) => known.hosts(),
  'agent package 0': () => ['rpm', 'deb'],
  'call 0': (known) => known.hosts(),
  'call 1': (known) => known.rpcs,
  'exec 0': (known) => known.services(),
  'logs 0': (known) => known.services(),
  'images rollback 0': (known) => known.services(),
  'images forward 0': (known) => known.services(),
  'set 0': (known) => known.settings,
  'get 0': (known) => known.settings,
  'runs show 0': (known) => known.runs(),
  'runs watch 0': (known) => known.runs(),
  'lab power 0': () => ['off', 'on'],
  'lab power 1': (known) => known.hosts(),
  'lab cable 0': () => ['unplug', 'plug'],
  'lab cable 1': (known) => known.hosts(),
  'lab lose 0': (known) => known.hosts(),
  'node unit 1': () => ['start', 'stop', 'restart', 'reload', 'reset-failed'],
  'node restart-service 1': (known) => known.services(),
  'node availability 1': (known) => known.hosts(),
  'node availability 2': () => ['active', 'pause', 'drain'],
  'volume delete 0': (known) => known.leftVolumes(),
  'backup run 0': (known) => known.services(),
  'backup verify 0': (known) => known.services(),
  'backup drill 0': (known) => known.services(),
  'backup restore 0': (known) => known.services(),
  'backup export 0': (known) => known.services(),
  'audit 0': (known) => known.hosts(),
  'cert revoke 0': (known) => known.hosts(),
  'completion 0': () => ['bash'],
}

/** Options whose values are not in their own list of choices. */
const optionSources: Readonly<Record<string, Source>> = {
  '--from': (known) => known.phases,
  '--only': (known) => known.phases,
  '--host': (known) => known.hosts(),
  '--service': (known) => known.services(),
  '--replace': (known) => known.hosts(),
  '--force': (known) => known.hosts(),
  '--gone': (known) => known.hosts(),
  '--lose': (known) => known.volumes(),
  '--leave-out': (known) => known.hosts(),
  '--yes': (known) => known.volumes(),
  '--overwrite': (known) => known.stages,
  '--confirm': (known) => known.services(),
  '--limit': named,
  '--allow': named,
}

/** Options whose values are hosts here, and other things elsewhere. */
const hostOptions: ReadonlySet<string> = new Set(['swarm recover --from', 'host replace --yes'])
const hostsOf: Source = (known) => known.hosts()

interface Place {
  readonly command: Command
  readonly path: readonly string[]
  /** Arguments of the command before the last word. */
  readonly position: number
  /** The option whose value the last word is. */
  readonly value: Option | undefined
  /** Values of options, by their long name: --root → /srv/site */
  readonly given: ReadonlyMap<string, string>
}

/** Where the last word of the line stands; `before`: the words before it, without the program's name. */
export function placeOf(program: Command, before: readonly string[]): Place {
  let command = program
  const path: string[] = []
  const given = new Map<string, string>()
  let position = 0
  let value: Option | undefined
  for (const word of before) {
    if (value !== undefined) {
      given.set(value.long ?? '', word)
      value = undefined
    } else if (word.startsWith('-') && word !== '-') {
      const [flag = '', inline] = word.split('=', 2)
      const option = [...command.options, ...program.options].find(({ short, long }) => flag === short || flag === long)
      if (option?.required === true && inline === undefined) value = option
      else if (option !== undefined && inline !== undefined) given.set(option.long ?? '', inline)
    } else {
      const nested = command.commands.find((candidate) => candidate.name() === word || candidate.aliases().includes(word))
      if (nested === undefined) position += 1
      else {
        command = nested
        path.push(nested.name())
      }
    }
  }
  return { command, path, position, value, given }
}

/** Whole words that may stand in place of the last one. */
export async function candidatesFor(program: Command, words: readonly string[], known: Known): Promise<readonly string[]> {
  const last = words.at(-1) ?? ''
  const { command, path, position, value } = placeOf(program, words.slice(0, -1))
  if (value !== undefined) {
    // The number of runs is no name.
    const source = path[0] === 'runs' ? undefined : hostOptions.has(`${path.join(' ')} ${value.long}`) ? hostsOf : optionSources[value.long ?? '']
    const list = value.argChoices ?? (await source?.(known)) ?? []
    const done = last.slice(0, last.lastIndexOf(',') + 1)
    return list.map((one) => done + one)
  }
  if (last.startsWith('-')) return command.options.map(({ long }) => long ?? '').filter((long) => long !== '')
  const nested = position > 0 ? [] : command.commands.map((one) => one.name()).filter((name) => name !== 'complete')
  if (path[0] === 'hold') return path[1] === undefined ? [...nested, ...(await known.hosts())] : known.hosts()
  if (nested.length > 0) return nested
  if (path[0] === 'host') return known.hosts()
  const place = `${path.join(' ')} ${position}`
  if (path[0] === 'node' && path.length === 2 && position === 0) return known.hosts()
  if (path[0] === 'drbd' && path.length === 2) return position === 0 ? known.volumes() : known.hosts()
  if (place === 'set 1') return words.at(-2) === 'stage' ? known.stages : words.at(-2) === 'start_phase' ? known.phases : []
  if (place.startsWith('rebalance ')) return known.services()
  if (place.startsWith('agent upgrade ') || place.startsWith('cert rotate ')) return known.hosts()
  return (await argumentSources[place]?.(known)) ?? []
}
