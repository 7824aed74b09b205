/** What modprobe, modinfo, lsmod, journalctl -k and dmesg say in a host of the fake DRBD. */
import { release } from 'node:os'

export interface FakeKernel {
  readonly host: string
  /** `modinfo drbd` as recorded. */
  readonly modinfo: string
  readonly moduleLoaded: boolean
  readonly log: readonly { readonly at: Date; readonly text: string }[]
}

/** Standard output; undefined where it is not about DRBD, and the real program answers. */
export function kernelAnswer(kernel: FakeKernel, tool: string, argv: readonly string[]): string | undefined {
  switch (tool) {
    case 'modprobe':
      return argv.includes('drbd') ? '' : undefined
    case 'modinfo':
      return argv.includes('drbd') ? (hasModule(argv) ? modinfoAnswer(kernel.modinfo, argv) : '') : undefined
    case 'lsmod':
      return `Module                  Size  Used by\n${kernel.moduleLoaded ? 'drbd                 1036288  0\n' : ''}`
    case 'dmesg':
      return kernelLogAnswer(tool, argv, kernel.host, kernel.log)
    case 'journalctl':
      return argv.includes('-k') || argv.includes('--dmesg') ? kernelLogAnswer(tool, argv, kernel.host, kernel.log) : undefined
    default:
      return undefined
  }
}

/** The kernel that runs has it, and no other one. */
function hasModule(argv: readonly string[]): boolean {
  const at = argv.indexOf('-k')
  return at < 0 || argv[at + 1] === release()
}

/** `modinfo drbd`, or one field of it (`-F FIELD`). */
function modinfoAnswer(all: string, argv: readonly string[]): string {
  const at = argv.findIndex((word) => word === '-F' || word === '--field')
  if (at < 0) return all
  const field = argv[at + 1] ?? ''
  return all
    .split('\n')
    .filter((line) => line.startsWith(`${field}:`))
    .map((line) => `${line.slice(field.length + 1).trim()}\n`)
    .join('')
}

function kernelLogAnswer(tool: string, argv: readonly string[], host: string, lines: FakeKernel['log']): string {
  const since = Number(/^@(\d+)/.exec(argv[argv.indexOf('--since') + 1] ?? '')?.[1] ?? 0) * 1000
  return lines
    .filter(({ at }) => at.getTime() >= since)
    .map(({ at, text }) =>
      tool === 'dmesg'
        ? `${at.toISOString().replace('Z', '').replace('.', ',')}000+00:00 ${text}\n`
        : `${(at.getTime() / 1000).toFixed(6)} ${host} kernel: ${text}\n`,
    )
    .join('')
}
