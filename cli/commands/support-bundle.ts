/** `hivecoord support-bundle`: what somebody else needs to help, in one file of this machine, without secrets. It is sent nowhere. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { collectSupport } from '../../coordinator/support/collect.ts'
import { writeBundle } from '../../coordinator/support/write-bundle.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'
import { columns } from '../render/format.ts'
import { bytes } from '../render/sizes.ts'

export function registerSupportBundle(program: Command, app: () => App): void {
  program
    .command('support-bundle')
    .description('collect what somebody else needs to help, without secrets, into one file of this machine; it is sent nowhere')
    .option('--to <file>', 'the file; default: hive-support-SITE-STAGE-TIME.tar.gz here')
    .action(async (options: { to?: string }) => {
      const { open, renderer, signal } = app()
      const stage = await open({ plans: true, setsUpRegistry: true })
      const now = new Date()
      const name = `hive-support-${stage.site.name}-${stage.site.stage}-${now.toISOString().slice(0, 19).replaceAll(/[-:]/g, '')}`
      const path = resolve(options.to ?? `${name}.tar.gz`)
      const files = await collectSupport(stage, signal)
      await writeBundle(path, name, files, now).catch((error: NodeJS.ErrnoException) => {
        throw error.code === 'EEXIST' ? new HiveError('conflict', `${path} is there already`, { hint: 'name another file with --to' }) : error
      })
      const sizes = files.map((file) => ({ name: file.name, bytes: Buffer.byteLength(file.text) }))
      renderer.result(
        { path, files: sizes },
        [
          columns(sizes.map((file) => [bytes(file.bytes), file.name])),
          '',
          `${path}: look through it before you give it away; secrets were taken out, names and addresses are in it`,
        ].join('\n'),
      )
    })
}
