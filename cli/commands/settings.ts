/** `hivecoord set NAME VALUE`, `get [NAME]`: variables kept in .hive/persistents.yml, as hive-builder's `set` keeps them. */
import type { Command } from 'commander'
import { loadSettings, setSetting } from '../../coordinator/inventory/settings.ts'
import type { App } from '../app.ts'
import { columns } from '../render/format.ts'

/** Kept in the file for hive-builder's sake, shown only by name. */
const secret = /secret|password|access_key/

const shown = (value: unknown): string => (value === undefined ? '' : typeof value === 'object' ? JSON.stringify(value) : String(value))

export function registerSettings(program: Command, app: () => App): void {
  program
    .command('set')
    .description('keep a variable: hivecoord set stage staging')
    .argument('<name>')
    .argument('<value>')
    .action(async (name: string, value: string) => {
      const { options, renderer } = app()
      const stored = await setSetting(options.root, name, value, options.stage)
      renderer.result({ name, value: secret.test(name) ? '********' : stored }, '')
    })
  program
    .command('get')
    .description('show a variable, or all')
    .argument('[name]')
    .action((name: string | undefined) => {
      const { options, renderer } = app()
      const settings = loadSettings(options.root, options.stage)
      if (name !== undefined) {
        const value = settings.get(name)
        renderer.result({ name, value }, shown(value))
        return
      }
      const all = settings
        .all()
        .map(({ name: key, value, isDefault }) => ({ name: key, value: secret.test(key) && value !== undefined ? '********' : value, isDefault }))
      renderer.result(all, columns(all.map(({ name: key, value, isDefault }) => [key, shown(value), isDefault ? '(default)' : ''])))
    })
}
