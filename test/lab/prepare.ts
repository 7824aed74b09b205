/** Makes what every site of the lab needs and this machine does not have yet: tools, the hosts' base root, the smallest image, hivecoord and the agent's package. */
import { ensureBaseRoot } from '../../coordinator/providers/nspawn/base-root.ts'
import { ensureTools } from '../../coordinator/providers/nspawn/tools.ts'
import { buildCli } from '../../packaging/build-cli.mjs'
import { buildPackage } from '../../packaging/build-packages.mjs'
import { tinyImageFolder } from './harness/tiny-image.ts'

const signal = AbortSignal.timeout(1_800_000)
const say = (event: { readonly code: string; readonly message?: string }): void => console.log(event.message ?? event.code)

await ensureTools(say, signal)
await Promise.all([ensureBaseRoot(say, signal), buildCli().then(() => buildPackage('deb'))])
tinyImageFolder()
