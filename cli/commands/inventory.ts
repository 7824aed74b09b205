/** `hivecoord inventory`: the resolved site, and `inventory check`. */
import type { Command } from 'commander'
import { InventoryError } from '../../coordinator/inventory/problems.ts'
import { inventoryJson, inventoryText } from '../../coordinator/inventory/render-inventory.ts'
import type { App } from '../app.ts'
import { count } from '../render/format.ts'

export function registerInventory(program: Command, app: () => App): void {
  const inventory = program.command('inventory').description('print the resolved site')
  inventory.option('--show-secrets', 'do not mask secrets').action(async (options: { showSecrets?: boolean }) => {
    const { open, renderer } = app()
    const { site } = await open()
    const show = { showSecrets: options.showSecrets === true }
    renderer.result(inventoryJson(site, show), inventoryText(site, show))
  })
  inventory
    .command('check')
    .description('say everything that is wrong with the inventory; exit code 2 where something is')
    .action(async () => {
      const { open, renderer, options } = app()
      try {
        const { site } = await open()
        renderer.result(
          { ok: true, problems: [] },
          `${site.name}, stage ${site.stage}: ${count(site.hosts.length, 'host')}, ${count(site.services.length, 'service')}, no mistakes`,
        )
      } catch (error) {
        if (!(error instanceof InventoryError) || options.output !== 'json') throw error
        renderer.result({ ok: false, problems: error.problems }, '')
        process.exitCode = 2
      }
    })
}
