/**
 * Takes all hosts of a stage away when its standard input ends: so also when the test that made them was killed. The
 * argument is the stage's identity as JSON.
 */
import { rmSync } from 'node:fs'
import { setTimeout as pause } from 'node:timers/promises'
import { remove, removeFolder } from '../../../coordinator/providers/nspawn/hosts.ts'
import { removeNetwork } from '../../../coordinator/providers/nspawn/network.ts'
import { hostFolder, hostsOnDisk, type StageIdentity, stageFolder } from '../../../coordinator/providers/nspawn/stage-folder.ts'

const stage = stageFolder(JSON.parse(process.argv[2] ?? '{}') as StageIdentity)

async function clear(): Promise<void> {
  for (const name of hostsOnDisk(stage)) await remove(stage, hostFolder(stage, name))
  await removeNetwork(stage)
  await removeFolder(stage.folder)
  rmSync(stage.lockFile, { force: true })
}

// Signals are for the test; whoever sends them to its whole group must not keep this from its work.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => undefined)
// What an earlier test left behind: its guard was killed too.
await clear()
process.stdout.write('ready\n')
let orderly = false
for await (const chunk of process.stdin) if (String(chunk).includes('done')) orderly = true
await clear()
if (!orderly) {
  // Commands of the killed test may have been under way.
  await pause(2000)
  await clear()
}
