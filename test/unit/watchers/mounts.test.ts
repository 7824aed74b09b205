import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { deviceNumberOf, devicesInUse, holdersOf, parseMountinfo, readMounts } from '../../../agent/adapters/mounts.ts'
import { LoopFileSystem, noLoop } from './loop-file-system.ts'

const recorded = `24 1 254:1 / / rw,relatime shared:1 - ext4 /dev/vda1 rw
310 24 147:1 / /var/lib/docker/volumes/app.data/_data rw,relatime shared:160 - ext4 /dev/drbd1 rw
311 24 147:2 /sub /mnt/with\\040blank ro,relatime - xfs /dev/drbd2 rw,attr2
312 24 147:3 / /mnt/fallen\\134back rw,relatime - ext4 /dev/drbd3 ro
not a line of it`

suite('mounts', () => {
  test('are read from mountinfo with their device, what of it is mounted, and whether it can be written', () => {
    const [, first, second, third, ...rest] = parseMountinfo(recorded)
    assert.deepEqual(first, {
      id: '310',
      device: '147:1',
      root: '/',
      mountPoint: '/var/lib/docker/volumes/app.data/_data',
      fsType: 'ext4',
      source: '/dev/drbd1',
      readOnly: false,
    })
    assert.deepEqual([second?.mountPoint, second?.root, second?.readOnly], ['/mnt/with blank', '/sub', true])
    assert.deepEqual([third?.mountPoint, third?.readOnly], ['/mnt/fallen\\back', true])
    assert.deepEqual(rest, [])
  })

  test('of this machine have a root', async () => {
    assert.ok((await readMounts()).some(({ mountPoint }) => mountPoint === '/'))
  })
})

/** A file system on a loop device that stands for /dev/drbd7, and a shell in a mount namespace of its own that does as it is told. */
class Bench {
  readonly #file = new LoopFileSystem()
  readonly #shell: ChildProcess
  readonly mountPoint = this.#file.mountPoint
  readonly loop = this.#file.device
  readonly dev = join(this.#file.folder, 'dev')

  constructor() {
    mkdirSync(this.dev)
    execFileSync('cp', ['--archive', this.loop, join(this.dev, 'drbd7')])
    this.#shell = spawn('unshare', ['--mount', '--propagation', 'private', 'sh'], { stdio: ['pipe', 'pipe', 'inherit'] })
  }

  get pid(): number | undefined {
    return this.#shell.pid
  }

  /** Resolves when the shell has done it. */
  async tell(line: string): Promise<void> {
    this.#shell.stdin?.write(`${line} && echo done\n`)
    const [answer] = await once(this.#shell.stdout ?? this.#shell, 'data', { signal: AbortSignal.timeout(10_000) })
    assert.equal(String(answer), 'done\n')
  }

  async holders(): Promise<readonly string[]> {
    const found = await holdersOf(7, { dev: this.dev })
    return found.filter(({ pid }) => pid === this.pid).map(({ kind, command, what }) => `${kind} ${command} ${what}`)
  }

  async close(): Promise<void> {
    const ended = once(this.#shell, 'exit')
    this.#shell.kill('SIGKILL')
    await ended
    this.#file.close()
  }
}

suite('who holds a device', { skip: noLoop }, () => {
  test('is told of mounts in other namespaces, of open devices, and of files on mounts that were detached', async () => {
    const bench = new Bench()
    try {
      assert.deepEqual(await bench.holders(), [])
      await bench.tell(`mount -w ${bench.loop} ${bench.mountPoint}`)
      assert.deepEqual(await bench.holders(), [`mount sh ${bench.mountPoint}`])
      const number = (await deviceNumberOf(join(bench.dev, 'drbd7'))) ?? ''
      assert.equal((await devicesInUse()).get(number)?.find(({ pid }) => pid === bench.pid)?.mountPoint, bench.mountPoint)
      assert.ok(
        (await readMounts()).every(({ device }) => device !== number),
        'the mount is in the other namespace only',
      )

      await bench.tell(`exec 9>${bench.mountPoint}/file && umount -l ${bench.mountPoint}`)
      assert.deepEqual(await bench.holders(), ['file sh /file'])
      assert.equal((await devicesInUse()).has(number), false)

      await bench.tell(`exec 9>&- && exec 8<${bench.loop}`)
      assert.deepEqual(await bench.holders(), [`open sh ${bench.loop}`])
      await bench.tell('exec 8<&-')
      assert.deepEqual(await bench.holders(), [])
    } finally {
      await bench.close()
    }
  })

  test('is told of a program that has the device among its arguments', async () => {
    const bench = new Bench()
    const named = join(bench.dev, 'drbd7')
    const child = spawn('sh', ['-c', 'echo up; read line', 'mkfs.ext4', named], { stdio: ['pipe', 'pipe', 'inherit'] })
    try {
      await once(child.stdout, 'data', { signal: AbortSignal.timeout(10_000) })
      const [holder] = (await holdersOf(7, { dev: bench.dev })).filter(({ pid }) => pid === child.pid)
      assert.equal(holder?.kind, 'names')
      assert.match(holder?.what ?? '', /mkfs\.ext4/)
    } finally {
      child.kill('SIGKILL')
      await bench.close()
    }
  })

  test('is nobody where there is no such device', async () => {
    assert.deepEqual(await holdersOf(7, { dev: '/nowhere' }), [])
  })
})
