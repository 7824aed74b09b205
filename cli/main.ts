/** hivecoord: moves into the stage's namespace where there is one, then loads the rest. */
import { contextDirOf } from './context-dir.ts'
import { enterNamespace } from './enter-namespace.ts'

async function start(): Promise<void> {
  const contextDir = contextDirOf(process.argv.slice(2))
  if (contextDir !== undefined) enterNamespace(contextDir)
  const { main } = await import('./program.ts')
  await main()
}

// Not awaited: the one executable is a script of the older kind, which can't.
void start()
