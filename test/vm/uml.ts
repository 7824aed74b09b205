/**
 * Debian's User Mode Linux: a Linux kernel that is a program. What runs in it runs at the processor's own speed, without KVM; only system calls and
 * page faults are dear. It has IPVS, VXLAN, overlayfs and iptables (of nftables only the core).
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { unpackedPackages } from '../support/unpacked-packages.ts'

export interface UmlKernel {
  /** The folder of its unpacked package. */
  readonly root: string
  readonly program: string
  /** A folder for /usr/lib/modules, named by the kernel's version. */
  readonly modules: string
}

export async function umlKernel(signal: AbortSignal): Promise<UmlKernel> {
  const root = await unpackedPackages({ name: 'uml', packages: ['user-mode-linux'], useless: ['usr/share'] }, signal)
  const [version] = readdirSync(join(root, 'usr/lib/uml/modules'))
  if (version === undefined) throw new Error(`there are no modules in ${root}`)
  return { root, program: join(root, 'usr/bin/linux.uml'), modules: join(root, 'usr/lib/uml/modules', version) }
}
