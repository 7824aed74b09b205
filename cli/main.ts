/** hivecoord: moves into the stage's namespace where there is one, then loads the rest. */
import { contextDirOf } from './context-dir.ts'
import { enterNamespace } from './enter-namespace.ts'

const contextDir = contextDirOf(process.argv.slice(2))
if (contextDir !== undefined) enterNamespace(contextDir)
const { main } = await import('./program.ts')
await main()
