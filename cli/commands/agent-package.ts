/** `hivecoord agent package KIND`: the agent's package that came with hivecoord, to install by hand or into an image. */
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { Argument } from 'commander'
import { type PackageKind, packagedAgent } from '../../coordinator/bootstrap/embedded-packages.ts'
import { writeFileAtomic } from '../../coordinator/run/atomic-file.ts'
import { HiveError } from '../../proto/errors.ts'
import type { App } from '../app.ts'

export function registerAgentPackage(agent: Command, app: () => App): void {
  agent
    .command('package')
    .description("the agent's package that came with this hivecoord: its name, version and digest; with --to, the file")
    .addArgument(new Argument('<kind>', 'for EL 8 and later, or for Debian and Ubuntu').choices(['rpm', 'deb']))
    .option('--to <folder>', 'write it there')
    .action(async (kind: PackageKind, { to }: { to?: string }) => {
      const found = await packagedAgent(kind)
      if (found === undefined)
        throw new HiveError('not-found', `this hivecoord has no ${kind} of the agent`, { hint: 'install it from its npm package or as the one executable' })
      const { fileName, version, sha256, binarySha256, size } = found
      const path = to === undefined ? undefined : resolve(to, fileName)
      if (path !== undefined) writeFileAtomic(path, await found.bytes(), 0o644)
      app().renderer.result({ kind, fileName, version, sha256, binarySha256, size, path }, `${sha256}  ${path ?? fileName}`)
    })
}
