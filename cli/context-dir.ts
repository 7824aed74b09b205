/** The context folder of the stage a command line names, found without loading the inventory or the option parser. */
import { existsSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

const argumentOf = (args: readonly string[], ...names: readonly string[]): string | undefined => {
  for (const [i, arg] of args.entries()) {
    for (const name of names) {
      if (arg === name) return args[i + 1]
      if (name.startsWith('--') && arg.startsWith(`${name}=`)) return arg.slice(name.length + 1)
    }
  }
  return undefined
}

/**
 * `--context-dir` when given; else ROOT/.hive/STAGE with the stage given, or set in .hive/persistents.yml, or private.
 * A context folder set elsewhere in persistents.yml is seen by the full load, which enters the namespace then.
 */
export function contextDirOf(args: readonly string[]): string | undefined {
  const given = argumentOf(args, '--context-dir', '-c')
  if (given !== undefined) return resolve(given)
  const root = resolve(argumentOf(args, '--root', '-r') ?? '.')
  const stage = argumentOf(args, '--stage', '-s') ?? stageSet(join(root, '.hive/persistents.yml')) ?? 'private'
  return join(root, '.hive', stage)
}

/** `stage: {global: X}` as block or flow YAML; anything else is left to the full load. */
function stageSet(file: string): string | undefined {
  if (!existsSync(file)) return undefined
  return /^stage:\s*(?:\{\s*)?(?:\n\s+)?global:\s*['"]?(\w+)/m.exec(readFileSync(file, 'utf8'))?.[1]
}
