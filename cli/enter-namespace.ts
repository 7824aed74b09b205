/**
 * Hosts of an nspawn stage have addresses only inside the stage's own network namespace, so the whole command moves there
 * before it does anything else. Loads nothing but Node.js itself: it runs before every command.
 */
import { existsSync, readFileSync } from 'node:fs'
import { isSea } from 'node:sea'

const marker = 'HIVE_NETNS'

/**
 * Replaces this process by itself inside the namespace that CONTEXT_DIR/netns names; returns where there is none, it is
 * gone, or this process is in it already.
 */
export function enterNamespace(contextDir: string): void {
  const file = `${contextDir}/netns`
  if (!existsSync(file)) return
  const name = readFileSync(file, 'utf8').trim()
  const path = `/run/netns/${name}`
  if (name === '' || process.env[marker] === name || !existsSync(path)) return
  const nsenter = ['/usr/bin/nsenter', '/bin/nsenter'].find((candidate) => existsSync(candidate))
  if (nsenter === undefined || process.execve === undefined) return
  // The one executable holds its script and Node.js's own arguments itself.
  const self = isSea() ? process.argv.slice(2) : [...process.execArgv, ...process.argv.slice(1)]
  const argv = [nsenter, `--net=${path}`, '--', process.execPath, ...self]
  process.execve(nsenter, argv, { ...process.env, [marker]: name, NODE_NO_WARNINGS: process.env['NODE_NO_WARNINGS'] ?? '1' })
}
