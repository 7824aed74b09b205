/** A virtual machine that runs one program and ends. By software alone: KVM is not everywhere, and not needed for so little. No network but its own loopback. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { build } from 'esbuild'
import { unpackedPackages } from '../support/unpacked-packages.ts'
import { archive, guestRoot } from './guest-root.ts'

const project = new URL('../..', import.meta.url).pathname

/** QEMU 7.2 of Debian 12 crashes guests at random when it runs them by software. */
const qemuRoot = (signal: AbortSignal): Promise<string> =>
  unpackedPackages(
    {
      name: 'qemu',
      packages: ['qemu-system-x86'],
      suites: ['bookworm-backports'],
      release: 'bookworm-backports',
      without: /^(?:perl|debconf|adduser|passwd|ipxe)/,
      useless: ['usr/share/doc', 'usr/share/man', 'usr/share/locale'],
    },
    signal,
  )

export interface GuestRun {
  /** What the program wrote to its standard output. */
  readonly output: string
  /** The console: the kernel's messages and the program's standard error. */
  readonly console: string
}

/** An empty disk of the guest: /dev/vda, b … in their order, or /dev/nvme0n1, 1n1 … */
export interface GuestDisk {
  readonly bus: 'virtio' | 'nvme'
  readonly bytes: number
}

export interface GuestOptions {
  readonly seconds: number
  readonly signal: AbortSignal
  readonly disks?: readonly GuestDisk[]
}

/** Runs a TypeScript file of this project as the guest's one program. Throws with the console where it does not end in time. */
export async function runInGuest(entry: string, { seconds, signal, disks = [] }: GuestOptions): Promise<GuestRun> {
  const [qemu, guest] = [await qemuRoot(signal), await guestRoot(signal)]
  const work = mkdtempSync(join(tmpdir(), 'hive-vm-'))
  try {
    const [program, initramfs, consoleFile, outputFile] = ['program', 'initramfs', 'console', 'output'].map((name) => join(work, name)) as [
      string,
      string,
      string,
      string,
    ]
    await build({
      entryPoints: [join(project, entry)],
      bundle: true,
      platform: 'node',
      format: 'esm',
      target: 'node24',
      outfile: join(program, 'guest.mjs'),
      logLevel: 'silent',
    })
    await archive(guest.busybox, program, `${initramfs}.program`, signal)
    writeFileSync(initramfs, Buffer.concat([readFileSync(guest.initramfs), readFileSync(`${initramfs}.program`)]))
    const libraries = ['usr/lib/x86_64-linux-gnu', 'lib/x86_64-linux-gnu'].map((folder) => join(qemu, folder))
    const accelerator = ['-accel', 'tcg,thread=multi,tb-size=512', '-cpu', 'Nehalem']
    const child = spawn(
      'setpriv',
      [
        // The machine goes with the process that runs the test, however that ends.
        ...['--pdeathsig', 'KILL', join(qemu, 'lib64/ld-linux-x86-64.so.2')],
        ...['--library-path', libraries.join(':'), join(qemu, 'usr/bin/qemu-system-x86_64')],
        ...['-L', join(qemu, 'usr/share/qemu'), '-L', join(qemu, 'usr/share/seabios')],
        ...['-M', 'q35', ...accelerator, '-smp', '1', '-m', '1280', '-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-nic', 'none'],
        ...['-kernel', guest.kernel, '-initrd', initramfs, '-append', 'console=ttyS0 panic=-1 quiet'],
        ...['-serial', `file:${consoleFile}`, '-serial', `file:${outputFile}`],
        ...disks.flatMap((disk, index) => diskArguments(disk, index, work)),
      ],
      { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: '/usr/bin:/bin', LANG: 'C.UTF-8' } },
    )
    const atExit = (): void => void child.kill('SIGKILL')
    process.once('exit', atExit)
    let errors = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text
    })
    const late = AbortSignal.any([signal, AbortSignal.timeout(seconds * 1000)])
    late.addEventListener('abort', atExit)
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject)
      child.once('close', resolve)
    })
    late.removeEventListener('abort', atExit)
    process.off('exit', atExit)
    const shown = read(consoleFile)
    if (code !== 0) throw new Error(`the guest did not end by itself within ${seconds} s (${code}): ${errors}\n${shown.slice(-4000)}`)
    return { output: read(outputFile), console: shown }
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** A file without blocks: it takes the space of what the guest writes. */
function diskArguments({ bus, bytes }: GuestDisk, index: number, folder: string): readonly string[] {
  const [id, file] = [`disk${index}`, join(folder, `disk${index}`)]
  writeFileSync(file, '')
  truncateSync(file, bytes)
  const device = bus === 'nvme' ? `nvme,drive=${id},serial=${id}` : `virtio-blk-pci,drive=${id},serial=${id}`
  return ['-drive', `if=none,id=${id},format=raw,cache=unsafe,discard=unmap,file=${file}`, '-device', device]
}

const read = (file: string): string => {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
