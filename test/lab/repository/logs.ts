/** Logs of services: from the container to the file, through a repository server that is away, and with certificates. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cable } from '../harness/breaking.ts'
import { eventually, patience } from '../harness/eventually.ts'
import type { RepositoryLab } from './lab.ts'

interface Line {
  readonly service: string
  readonly host: string
  readonly at: string
  readonly line: string
}

export function logsTests(lab: RepositoryLab): void {
  const say = async (text: string): Promise<void> => {
    const said = await lab.site.text(['exec', 'chatter', 'busybox', 'sh', '-c', `echo '${text}' > /proc/1/fd/1`])
    assert.equal(said.code, 0, said.out)
  }
  const read = async (...args: readonly string[]): Promise<readonly Line[]> => {
    const { out } = await lab.site.text(['logs', 'chatter', ...args])
    return out
      .split('\n')
      .filter((text) => text.startsWith('{"service"'))
      .map((text) => JSON.parse(text) as Line)
  }
  const arrives = (text: string, ...args: readonly string[]): Promise<Line> =>
    eventually(`"${text}" in the log`, patience, async () => (await read('--from', 'repository', ...args)).find(({ line }) => line.endsWith(text)))

  test('what a service says is in its file on the repository server, and what is an error in the log of errors', async () => {
    const errors = async (): Promise<readonly string[]> => (await read('--errors')).map(({ line }) => line.replace(/\[\d+\]/, ''))
    const before = await errors()
    await say('hello from chatter')
    await say('a harmless ERROR')
    await say('an ERROR with "quotes"')
    assert.equal((await arrives('an ERROR with "quotes"')).host, lab.repository)
    const texts = (await read()).map(({ line }) => line.replace(/^chatter\[\d+\]: {2}/, ''))
    assert.deepEqual(texts.slice(-4), ['chatter is there', 'hello from chatter', 'a harmless ERROR', 'an ERROR with "quotes"'])
    assert.equal((await read('--from', 'containers')).at(-1)?.line, 'an ERROR with "quotes"')
    assert.deepEqual(await errors(), [...before, '/var/log/services/chatter.log chatter: an ERROR with "quotes"'])
    assert.match(await lab.onRepository('stat -c "%a %U %G" /var/log/services/chatter.log'), /^640 root zabbix$/m)
  })

  test('rotated files are read on', async () => {
    await lab.onRepository('logrotate --force /etc/logrotate.d/hive-services')
    await say('after the rotation')
    await arrives('after the rotation')
    const lines = await lab.onRepository('ls /var/log/services; wc -l < /var/log/services/chatter.log')
    assert.match(lines, /^chatter\.log\.1$/m)
    assert.match(lines, /^1$/m)
    assert.deepEqual(
      (await read('--grep', 'hello|rotation')).map(({ line }) => line.replace(/^chatter\[\d+\]: {2}/, '')),
      ['hello from chatter', 'after the rotation'],
    )
  })

  test('with the repository server away a service starts again, is read from its container, and its lines arrive later', async () => {
    const starts = async (): Promise<number> => (await read('--from', 'repository')).filter(({ line }) => line.endsWith('chatter is there')).length
    const before = await starts()
    await cable(lab.site, 'unplug', lab.repository)
    try {
      await say('while nobody listens')
      await lab.site.succeed(['node', 'restart-service', lab.hives[0], 'chatter'])
      await eventually('the service runs again', patience, async () => (await read('--tail', '1')).at(-1)?.line === 'chatter is there')
    } finally {
      await cable(lab.site, 'plug', lab.repository)
    }
    await arrives('while nobody listens')
    await eventually('the new start in the file', patience, async () => (await starts()) > before)
  })

  test('certificates are switched on without a loss, and hosts send their own logs then', async () => {
    await lab.site.succeed(['set', 'tls_logging', 'true'])
    await lab.site.succeed(['deploy', '--only', 'setup-hosts'], { deadline: 120_000 })
    await say('under cover')
    await arrives('under cover')
    await lab.onHost(lab.hives[1], 'logger -t lab-test "the journal of a host"')
    const said = new RegExp(`${lab.hives[1]} user\\.notice: lab-test(\\[\\d+\\])?: the journal of a host$`, 'm')
    await eventually('what a host says of itself', patience, async () => said.test(await lab.onRepository('cat /var/log/service-other-facility.log'))).catch(
      async (error: unknown) => {
        const seen = await lab.onRepository('tail -n 5 /var/log/service-other-facility.log')
        throw new Error(`${seen}\n${await lab.onHost(lab.hives[1], 'journalctl -u hive-logs -n 20 --no-pager')}`, { cause: error })
      },
    )
    await lab.nothingToDo()
  })
}
