/**
 * The commands that were typed in the recordings, carried out on the fake: drbdadm, mounts, openers and writes. What only looked at something else
 * (md5sum, dmesg, events2 into a file) does nothing. A generator, because commands wait: it yields the time at which it goes on.
 */
import type { FakeCluster, FakeHost } from '../cluster.ts'
import { adjustCommands, ownHost, passedOn } from './drbdadm.ts'
import { type ConfiguredResource, parseResourceFile } from './resource-file.ts'

export type Waiting = Generator<number, void, number>

export interface Machine {
  name: string
  files: Map<string, ConfiguredResource>
  /** mount point to minor. */
  mounts: Map<string, { minor: number; id: string; readOnly: boolean }>
  /** a file of a mount is held open until then. */
  busyUntil: number
}

export interface Output {
  stdout: string
  stderr: string
  /** undefined where the last command is none that the fake knows. */
  code: number | undefined
}

let nextId = 1

export class Shell {
  readonly #cluster: FakeCluster
  readonly #machine: Machine
  readonly output: Output = { stdout: '', stderr: '', code: undefined }
  now: number

  constructor(cluster: FakeCluster, machine: Machine, now: number) {
    this.#cluster = cluster
    this.#machine = machine
    this.now = now
  }

  get #host(): FakeHost {
    return this.#cluster.host(this.#machine.name)
  }

  *run(script: string): Waiting {
    const here = /cat > \S*\/(\w+)\.res <<'EOF_RES'\n([\s\S]*?)\nEOF_RES\n?/.exec(script)
    if (here !== null) {
      yield* this.run(script.slice(0, here.index))
      const file = parseResourceFile(here[2] as string)
      this.#machine.files.set(here[1] as string, file)
      yield* this.run(script.slice(here.index + here[0].length))
      return
    }
    if (/^cat > \/tmp|for n in \$\(seq/.test(script) && !/mount -w/.test(script)) return
    const loop = /for n in \$\(seq.*?(mount -w[^;]*?) 2>.*?done;(.*)$/s.exec(script)
    if (loop !== null) {
      yield* this.run(`${loop[1]};${loop[2]}`)
      return
    }
    for (const { text, joint } of splitScript(script)) {
      if (joint === '&&' && this.output.code !== undefined && this.output.code !== 0) continue
      if (joint === '||' && (this.output.code === undefined || this.output.code === 0)) continue
      yield* this.#one(text.trim())
    }
  }

  *#one(text: string): Waiting {
    const opener = /sleep ([\d.]+) < \/dev\/drbd(\d+)/.exec(text)
    if (opener !== null) return this.#hold(Number(opener[2]), Number(opener[1]))
    if (text.startsWith('(') || text.endsWith('&')) return
    const command = text
      .replace(/^time /, '')
      .replace(/^strace .* mount /, 'mount ')
      .replace(/\s+2>\S+|\s+>\s*\/dev\/null|\s*<\s*\/dev\/null/g, '')
    const quiet = /[|]/.test(command)
    const [program = '', ...args] = command.split(/\s+/)
    const echo = /^echo (.*)$/.exec(command)
    if (program === 'sleep') this.now = yield this.now + Number(args[0]) * 1000
    else if (program === 'drbdadm')
      yield* this.#drbdadm(
        args
          .filter((word) => word !== '|')
          .join(' ')
          .split('|')[0]
          ?.trim()
          .split(/\s+/) ?? [],
        quiet,
      )
    else if (program === 'drbdsetup' && !quiet) yield* this.#drbdsetup(args)
    else if (program === 'mount') yield* this.#mount(args)
    else if (program === 'umount') {
      this.#umount(args)
      // what waited for it goes on meanwhile
      this.now = yield this.now + 150
    } else if (program === 'mkfs.ext4') yield* this.#mkfs(args)
    else if (program === 'dd' && /if=\/dev\/drbd/.test(command)) this.#read(Number(/drbd(\d+)/.exec(command)?.[1]))
    else if (program === 'dd' && /of=\/dev\/vd/.test(command)) this.#overwrite(command)
    else if (program === 'exec' && /<\/mnt/.test(command)) this.#machine.busyUntil = this.now + 15_000
    else if (program === 'dmsetup') this.#mapper(args)
    else if (program === 'rm') this.#machine.files.delete(/(\w+)\.res/.exec(command)?.[1] ?? '')
    else if (/[>=]\s*\/m(nt\/v|2)\/|^touch/.test(command)) this.#write(command)
    else if (echo !== null && /\$\?/.test(command)) {
      if (this.output.code !== undefined) this.output.stdout += `${(echo[1] as string).replace('$?', String(this.output.code))}\n`
      this.output.code = undefined
    } else this.output.code = undefined
  }

  #say(stdout: string, stderr: string, code: number): void {
    this.output.stdout += stdout
    this.output.stderr += stderr
    this.output.code = code
  }

  *#drbdsetup(argv: readonly string[]): Waiting {
    if (argv[0]?.startsWith('events2') || argv[0]?.startsWith('wait')) return
    const since = this.now
    for (;;) {
      const result = this.#host.run(argv, { now: this.now, since })
      if (result.again === undefined) return this.#say(result.stdout, result.stderr, result.code)
      this.now = yield result.again
    }
  }

  *#drbdadm(given: readonly string[], quiet: boolean): Waiting {
    const dry = given.includes('-d')
    const [command = '', target = '', ...more] = given.filter((word) => !word.startsWith('-'))
    const flags = given.filter((word) => word.startsWith('--') && word !== '--')
    const [name = '', peerName] = target.split(':')
    const file = this.#machine.files.get((name.split('/')[0] as string) || 'hive')
    const before = { ...this.output }
    if (file === undefined || more.length > 0 || target === 'all' || ownHost(file, this.#machine.name) === undefined) this.output.code = undefined
    else if (command === 'create-md') this.#createMetadata(file, flags)
    else if (command === 'up' || command === 'adjust')
      yield* this.#all(adjustCommands(file, this.#machine.name, this.#cluster.state.hosts[this.#machine.name] as never), dry)
    else {
      const commands = passedOn(command, flags, file, this.#machine.name, peerName)
      if (commands === undefined) this.output.code = undefined
      else yield* this.#all(commands, dry)
    }
    if (quiet) Object.assign(this.output, { stdout: before.stdout, stderr: before.stderr, code: undefined })
  }

  /** drbdadm goes on after a failed command of a list only where the commands do not build on each other. */
  *#all(commands: readonly string[][], dry: boolean): Waiting {
    let worst = 0
    for (const [program = '', ...argv] of commands) {
      if (dry) {
        this.output.stdout += `${[program, ...argv].join(' ')}\n`
        continue
      }
      if (program === 'drbdmeta') {
        const disk = this.#cluster.state.hosts[this.#machine.name]?.disks[argv[2] ?? '']
        if (disk?.broken === true)
          return this.#say('', `pread failed: Input/output error\nCommand '${[program, ...argv].join(' ')}' terminated with exit code 10\n`, 0)
        if (disk?.meta === undefined) return this.#say('', 'No valid meta data found\n', 1)
        continue
      }
      yield* this.#drbdsetup(argv)
      const { code } = this.output
      if (code === 0 || code === undefined) continue
      this.output.stderr += `Command '${[program, ...argv].join(' ')}' terminated with exit code ${code}\n`
      worst = argv[0] === 'attach' ? 1 : code
      if (argv[0] === 'forget-peer') {
        this.output.stderr = `${this.output.stderr.replace(/hive: Failure.*\n(?:additional info from kernel:\n.*\n)?Command 'drbdsetup forget.*\n$/, '')}Device '1' is configured!\nCommand 'drbdmeta 1 v09 /dev/vda internal --node-id=2 forget-peer' terminated with exit code 20\n`
        worst = 20
      }
      break
    }
    this.output.code = worst
  }

  #createMetadata(file: ConfiguredResource, flags: readonly string[]): void {
    const own = ownHost(file, this.#machine.name)
    if (own?.disk === 'none') {
      this.#say('', 'The create-md command requires a local disk, but the configuration gives none.\n', 10)
      return
    }
    const maxPeers = Number(/=(\d+)/.exec(flags.find((flag) => flag.startsWith('--max-peers')) ?? '')?.[1] ?? 2)
    this.#cluster.event({ kind: 'create-metadata', host: this.#machine.name, path: own?.disk ?? '', maxPeers }, this.now)
    this.#say('', '', 0)
  }

  *#mount(args: readonly string[]): Waiting {
    const device = args.find((word) => word.startsWith('/dev/drbd')) ?? ''
    const point = args.at(-1) as string
    const minor = Number(device.slice('/dev/drbd'.length))
    const asked = args.includes('ro')
    const since = this.now
    const id = `mount-${nextId++}`
    const open = (write: boolean): ReturnType<FakeHost['open']> => this.#host.open({ minor, id, write, program: 'mount', pid: 1 }, this.now, since)
    let opening = open(!asked)
    while ('again' in opening) {
      this.now = yield opening.again
      opening = open(!asked)
    }
    if ('errno' in opening && opening.errno === 'EROFS') {
      if (args.includes('-w')) return this.#say('', `mount: ${point}: ${device} is write-protected but explicit read-write mode requested.\n`, 32)
      opening = open(false)
      if ('ok' in opening) this.output.stderr += `mount: ${point}: WARNING: source write-protected, mounted read-only.\n`
    }
    const words = { EMEDIUMTYPE: 'Wrong medium type', ENODATA: 'No data available', EROFS: 'Read-only file system', ENXIO: 'No such device or address' }
    if ('errno' in opening) return this.#say('', `mount: ${point}: mount(2) system call failed: ${words[opening.errno]}.\n`, 32)
    if (!('ok' in opening)) return
    this.#machine.mounts.set(point, { minor, id, readOnly: opening.readOnly })
    this.#say('', '', 0)
  }

  #umount(args: readonly string[]): void {
    const point = args.at(-1) as string
    const mount = this.#machine.mounts.get(point)
    const busy = this.#machine.busyUntil > this.now
    if (mount === undefined) this.#say('', `umount: ${point}: not mounted.\n`, 32)
    else if (busy && !args.includes('-l')) this.#say('', `umount: ${point}: target is busy.\n`, 32)
    else {
      this.#machine.mounts.delete(point)
      if (busy) this.later.push({ at: this.#machine.busyUntil, minor: mount.minor, id: mount.id })
      else this.#host.close(mount.minor, mount.id, this.now)
      this.#say('', '', 0)
    }
  }

  /** closes that come by themselves. */
  readonly later: { at: number; minor: number; id: string }[] = []

  #hold(minor: number, seconds: number): void {
    const id = `reader-${nextId++}`
    const opening = this.#host.open({ minor, id, write: false, program: 'bash', pid: 1 }, this.now)
    if ('ok' in opening) this.later.push({ at: this.now + seconds * 1000, minor, id })
  }

  *#mkfs(args: readonly string[]): Waiting {
    const minor = Number(/drbd(\d+)/.exec(args.at(-1) ?? '')?.[1])
    const id = `mkfs-${nextId++}`
    const opening = this.#host.open({ minor, id, write: true, program: 'mkfs.ext4', pid: 1 }, this.now)
    if ('errno' in opening) return this.#say('', '', 1)
    this.now = yield this.now + 100
    this.#host.close(minor, id, this.now)
    this.#say('', '', 0)
  }

  #read(minor: number): void {
    const id = `dd-${nextId++}`
    const opening = this.#host.open({ minor, id, write: false, program: 'dd', pid: 1 }, this.now)
    if ('ok' in opening) this.#host.close(minor, id, this.now)
    const words = { EMEDIUMTYPE: 'Wrong medium type', ENODATA: 'No data available', EROFS: '', ENXIO: '' }
    if ('errno' in opening) this.#say('', `dd: failed to open '/dev/drbd${minor}': ${words[opening.errno]}\n`, 1)
    else this.#say('', '', 0)
  }

  /** A backing device is wiped, or a few of its blocks are changed while DRBD is down. */
  #overwrite(command: string): void {
    const path = /of=(\S+)/.exec(command)?.[1] ?? ''
    const size = this.#cluster.state.hosts[this.#machine.name]?.disks[path]?.sizeKib ?? 0
    if (/seek=50000/.test(command)) this.#cluster.event({ kind: 'disk-damaged', host: this.#machine.name, path, kib: 28 }, this.now)
    else this.#cluster.event({ kind: 'disk', host: this.#machine.name, path, sizeKib: size, empty: true }, this.now)
    this.output.code = undefined
  }

  /** A mapped device of 100,000 sectors over the second disk, or of errors. */
  #mapper(args: readonly string[]): void {
    const [verb, name] = args
    const path = `/dev/mapper/${name}`
    if (verb === 'create') this.#cluster.event({ kind: 'disk', host: this.#machine.name, path, sizeKib: 50_000 }, this.now)
    else if (verb === 'load') this.#cluster.event({ kind: 'disk-broken', host: this.#machine.name, path, broken: args.includes('error"') }, this.now)
    this.output.code = undefined
  }

  #write(command: string): void {
    const mount = this.#machine.mounts.get(/\/m2/.test(command) ? '/m2' : '/mnt/v')
    const megabytes = Number(/bs=1M count=(\d+)/.exec(command)?.[1] ?? 0)
    if (mount !== undefined && !mount.readOnly)
      this.#cluster.event({ kind: 'write', host: this.#machine.name, minor: mount.minor, kib: Math.max(64, megabytes * 1024) }, this.now)
    this.output.code = undefined
  }
}

/** Commands of a line with what joins each to the one before; parentheses and quotes keep their content together. */
export function splitScript(script: string): { text: string; joint: ';' | '&&' | '||' }[] {
  const parts: { text: string; joint: ';' | '&&' | '||' }[] = []
  let joint: ';' | '&&' | '||' = ';'
  let text = ''
  let depth = 0
  let quote = ''
  const end = (next: typeof joint): void => {
    if (text.trim() !== '') parts.push({ text, joint })
    joint = next
    text = ''
  }
  for (let index = 0; index < script.length; index++) {
    const char = script[index] as string
    const two = script.slice(index, index + 2)
    if (quote !== '') {
      if (char === quote) quote = ''
      text += char
    } else if (char === '"' || char === "'") {
      quote = char
      text += char
    } else if (char === '(' || char === ')') {
      depth += char === '(' ? 1 : -1
      text += char
    } else if (depth === 0 && (two === '&&' || two === '||')) {
      end(two)
      index++
    } else if (depth === 0 && char === '&' && !/[>\d]$/.test(text)) {
      text += '&'
      end(';')
    } else if (depth === 0 && (char === ';' || char === '\n')) end(';')
    else text += char
  }
  end(';')
  return parts
}
