/**
 * The whole way on aws: from an empty account to answering DNS, again with nothing to do, off and on, and back to an empty account. The account
 * is the emulator's, its instances are hosts of this machine, and hivecoord is run as by its operator.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { accountOf, exampleAccount, nothing } from '../ec2/account.ts'
import { type Ec2, startEc2 } from '../ec2/ec2.ts'
import { debianImageFolder } from './harness/base-images.ts'
import { type Ec2Hosts, insideVpc, standForInstances } from './harness/ec2-hosts.ts'
import { eventually, patience } from './harness/eventually.ts'
import { type CommandOutcome, LabSite } from './harness/lab-site.ts'
import { leftovers } from './harness/leftovers.ts'

const checkout = new URL('../..', import.meta.url).pathname
const ask = join(checkout, 'examples/demo/ask.ts')
const region = 'ap-northeast-1'

let ec2: Ec2
let hosts: Ec2Hosts
let site: LabSite

before(async () => {
  const images = await debianImageFolder()
  ec2 = await startEc2()
  hosts = await standForInstances(ec2.front, { name: 'deploy', cidr: '192.168.0.0/24' })
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, ...env } = ec2.env
  site = new LabSite(join(checkout, 'examples/pdns'), { images, stage: 'staging', env: { ...env, HOME: '/nonexistent' } })
  await site.succeed(['set', 'aws_access_key_id', AWS_ACCESS_KEY_ID ?? ''])
  await site.succeed(['set', 'aws_secret_access_key', AWS_SECRET_ACCESS_KEY ?? ''])
  // This machine's kernel has no DRBD: on this stage the database's volume is docker's own.
  site.edit('inventory/services.yml', (text) =>
    text.replace('          fstype: xfs\n', '          fstype: xfs\n          available_on: [private, production]\n'),
  )
  // There is no way to the images of Zabbix from here.
  site.edit('inventory/group_vars/all.yml', (text) => `${text}hive_zabbix: False\n`)
})
after(async () => {
  await site?.destroy()
  await hosts?.stop()
  await ec2?.stop()
  assert.deepEqual(leftovers(hosts.namespace), [])
})

const phasesOf = ({ result }: CommandOutcome): readonly string[] =>
  (result as readonly { readonly steps: readonly { readonly step: string }[] }[]).flatMap(({ steps }) => steps.map(({ step }) => step))
const actions = (): readonly string[] => ec2.front.writes().map(({ action }) => action)
const page = (address: string): Promise<string | false> =>
  insideVpc(hosts, [process.execPath, ask, 'http', address]).then(
    ({ stdout }) => stdout,
    () => false,
  )
const answers = (address: string, name: string): Promise<string | false> =>
  insideVpc(hosts, [process.execPath, ask, 'dns', address, name]).then(
    ({ stdout }) => stdout.trim(),
    () => false,
  )

test('plan of an empty account reads only, and names every host and thing to make', async () => {
  const planned = phasesOf(await site.succeed(['plan']))
  assert.deepEqual(actions(), [])
  for (const step of ['aws/vpc', 'aws/security-rules', 'aws/instance@s-hive0.pdns', 'aws/address@s-hive3.pdns', 'bootstrap/agent@s-hive2.pdns'])
    assert.ok(planned.includes(step), step)
})

test('deploy goes from the empty account to answering DNS on each hive host, also when it was killed between two instances', async () => {
  const first = site.start(['deploy'])
  let runs = 0
  const unhook = ec2.front.hook(
    'RunInstances',
    async () => {
      runs += 1
      if (runs < 3) return undefined
      first.kill('SIGKILL')
      return 'drop'
    },
    'after',
  )
  assert.equal((await first.done).signal, 'SIGKILL')
  unhook()
  await site.succeed(['deploy'], { deadline: 900_000 })
  await hosts.idle()
  const { interfaces: _, ...rest } = await accountOf(ec2.front.client(region))
  assert.deepEqual(rest, exampleAccount)
  await site.succeed(['exec', 'powerdns', '--', 'pdnsutil', 'add-record', 'example.com', 'asked', 'TXT', '"on aws"'])
  for (const address of ['192.168.0.5', '192.168.0.69', '192.168.0.133'])
    assert.equal(await eventually(`DNS on ${address}`, patience, () => answers(address, 'asked.example.com')), 'on aws')
})

test('a second deploy changes nothing and writes nothing to the account', async () => {
  ec2.front.forget()
  assert.deepEqual(phasesOf(await site.succeed(['plan'])), [])
  const { events } = await site.succeed(['deploy'])
  assert.ok(events.every((event) => event.code !== 'step.finished'))
  assert.deepEqual(actions(), [])
})

test('ssh_config leads to each host by its elastic address, with host keys pinned', async () => {
  const config = readFileSync(join(site.contextDir, 'ssh_config'), 'utf8')
  const names = [...config.matchAll(/^Host (\S+)$/gm)].map(([, name]) => name)
  assert.deepEqual(names, ['s-hive0.pdns', 's-hive1.pdns', 's-hive2.pdns', 's-hive3.pdns'])
  assert.ok([...config.matchAll(/^ {2}HostName (\S+)$/gm)].every(([, address]) => address?.startsWith('127.')))
  assert.match(config, /^ {2}StrictHostKeyChecking yes$/m)
  const { out } = await site.text(['ssh', 's-hive1', 'hostname; id -un; sudo -n id -un'])
  assert.deepEqual(out.trim().split('\n'), ['s-hive1', 'ec2-user', 'root'])
})

test('halt stops the instances, start brings them and their services back', async () => {
  await site.succeed(['halt'], { deadline: 300_000 })
  const states = (await site.succeed(['status'])).result as { readonly hosts: readonly { readonly power: string }[] }
  assert.deepEqual(
    states.hosts.map(({ power }) => power),
    ['halted', 'halted', 'halted', 'halted'],
  )
  await site.succeed(['start'], { deadline: 300_000 })
  for (const address of ['192.168.0.5', '192.168.0.69', '192.168.0.133'])
    assert.match(await eventually(`the page on ${address}`, patience, () => page(address)), /example\.com/)
  await eventually('nothing to change', patience, async () => phasesOf(await site.succeed(['plan', '--only', 'build-infra,setup-hosts'])).length === 0)
})

test('destroy leaves nothing in the account', async () => {
  await site.succeed(['destroy', '--yes'], { deadline: 300_000 })
  assert.deepEqual(await accountOf(ec2.front.client(region)), nothing)
  await site.succeed(['destroy', '--yes'])
})
