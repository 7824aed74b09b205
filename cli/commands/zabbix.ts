/** `hivecoord zabbix`: Zabbix' web UI on a port of this machine, through the agent of the repository server. */
import type { Command } from 'commander'
import { openTunnel } from '../../coordinator/client/tunnel.ts'
import { loadSettings } from '../../coordinator/inventory/settings.ts'
import { zabbixHere } from '../../coordinator/zabbix/zabbix-here.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { inStageNetwork, outside, relay } from '../listen-outside.ts'
import { port as portNumber } from './numbers.ts'

export function registerZabbix(program: Command, app: () => App): void {
  program
    .command('zabbix')
    .description("open Zabbix' web UI on a port of this machine, through the repository server's agent, until interrupted")
    .option('-p, --port <port>', 'of 127.0.0.1; 0 is any that is free (default: the setting foward_zabbix_port, 10052)', portNumber)
    .option('--show-password', "also show the administrator's password")
    .action(async (options: { port?: number; showPassword?: boolean }) => {
      const { open, renderer, signal } = app()
      const { site, agents } = await open()
      const repository = site.hosts.find(({ isRepository }) => isRepository)
      if (repository === undefined || !(await zabbixHere(site)).runs)
        throw new HiveError('not-found', `stage ${site.stage} of ${site.name} has no Zabbix of its own`, {
          hint: 'hive_zabbix: True in its inventory asks for one',
        })
      const wanted = options.port ?? Number(loadSettings(site.root, site.stage).get('foward_zabbix_port'))
      const client = await agents.client(repository.name)
      await client.connect(10_000, signal)
      const failed = (message: string): void => renderer.event({ code: 'warning', message })
      const forward = (listen: number | string) => openTunnel({ client, target: 'zabbix', listen, signal, failed })
      const { port, ended } = inStageNetwork() ? await outside(wanted, forward, signal) : await forward(wanted)
      const { user, password } = site.zabbix.admin
      const url = `http://127.0.0.1:${port}/`
      const shown = options.showPassword === true
      const how = shown ? password : 'shown with --show-password'
      renderer.result({ url, user, ...(shown ? { password } : {}) }, `${url}\nuser      ${user}\npassword  ${how}\nCtrl-C ends it`)
      await ended
    })

  // The half of it that listens where browsers are.
  program
    .command('zabbix-port', { hidden: true })
    .argument('<port>', '', portNumber)
    .argument('<socket>')
    .action((wanted: number, socket: string) => relay(wanted, socket))
}
