/** `hivecoord ssh [HOST] [COMMAND…]`: the system's ssh with the stage's key, known hosts and ssh_config. */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { findHost } from './find-host.ts'

export function registerSsh(program: Command, app: () => App): void {
  program
    .command('ssh')
    .description('log in to a host; without a name: to the repository server')
    .argument('[host]')
    .argument('[command...]')
    .option('-L, --forward <spec>', 'forward a port, as ssh -L does')
    .passThroughOptions()
    .action(async (name: string | undefined, words: string[], options: { forward?: string }) => {
      const { open } = app()
      const command = words[0] === '--' ? words.slice(1) : words
      const { site } = await open()
      const config = join(site.contextDir, 'ssh_config')
      if (!existsSync(config)) throw new HiveError('not-found', `stage ${site.stage} has no ssh_config yet`, { hint: 'build-infra writes it' })
      const host = name === undefined ? site.hosts.at(-1)?.name : findHost(site, name).name
      const forward = options.forward === undefined ? [] : ['-L', options.forward]
      const child = spawn('ssh', ['-F', config, ...forward, host ?? '', ...command], { stdio: 'inherit' })
      process.exitCode = await new Promise<number>((resolve, reject) => {
        child.on('error', (cause) => reject(new HiveError('command-failed', 'ssh could not be started', { hint: 'install an OpenSSH client', cause })))
        child.on('exit', (code) => resolve(code ?? 1))
      })
    })
}
