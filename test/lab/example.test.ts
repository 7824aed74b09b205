/** The example site, whose images are built and whose database is filled by Ansible roles. */
import assert from 'node:assert/strict'
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { HiveEvent } from '../../coordinator/events.ts'
import { debianImageFolder } from './harness/base-images.ts'
import { eventually, patience } from './harness/eventually.ts'
import { LabSite } from './harness/lab-site.ts'

const checkout = new URL('../..', import.meta.url).pathname
const ask = join(checkout, 'examples/demo/ask.ts')

interface PlannedPhase {
  readonly phase: string
  readonly steps: readonly { readonly step: string; readonly outcome: string }[]
}

const planned = (result: unknown): string[] => (result as readonly PlannedPhase[]).flatMap(({ steps }) => steps.map(({ step }) => step))
const changed = (events: readonly HiveEvent[]): string[] =>
  events.flatMap((event) => (event.code === 'step.finished' && event.result === 'changed' ? [event.stepId] : []))

let site: LabSite

before(async () => {
  site = new LabSite(join(checkout, 'examples/pdns'), { images: await debianImageFolder() })
  await site.succeed(['deploy'], { deadline: 900_000 })
})
after(() => site?.destroy())

const answers = (address: string, name: string): Promise<string | false> =>
  site.inNetwork([process.execPath, ask, 'dns', address, name]).then(({ code, out }) => (code === 0 ? out.trim() : false))

/** A container that runs has not opened its port yet. */
const pageHas = (address: string, text: RegExp): Promise<true> =>
  eventually(
    `the page of ${address} with ${text}`,
    patience,
    async () => text.test((await site.inNetwork([process.execPath, ask, 'http', address])).out) || undefined,
  )

test('the name server on each host answers from the database, the web server with its page', async () => {
  const record = ['exec', 'powerdns', '--', 'pdnsutil', 'add-record', 'example.com', 'asked', 'TXT', '"seen"']
  await site.succeed(record)
  for (const address of ['10.88.0.4', '10.88.0.5', '10.88.0.6']) {
    assert.equal(await eventually(`DNS on ${address}`, patience, () => answers(address, 'asked.example.com')), 'seen')
    await pageHas(address, /example\.com/)
  }
})

test('nothing is left to change, neither images nor initialization', async () => {
  const { result } = await site.succeed(['plan'])
  assert.deepEqual(planned(result), [])
})

test('a changed role builds its own image again and updates its own service', async () => {
  appendFileSync(join(site.folder, 'roles/web/templates/index.html.j2'), '<!-- second edition -->\n')
  const { events } = await site.succeed(['deploy'])
  const steps = changed(events)
  const about = (part: string): string[] => steps.filter((step) => step.includes(part))
  assert.equal(about('build-images/').length, 1)
  assert.match(about('build-images/')[0] ?? '', /web/)
  assert.deepEqual(
    steps.filter((step) => !step.includes('web')),
    [],
  )
  await pageHas('10.88.0.4', /second edition/)
})

test('the database is backed up, proven in a container of its own, and restored', async () => {
  await site.succeed(['backup', 'run', 'pdnsdb'])
  await site.succeed(['backup', 'verify', 'pdnsdb'])
  const drill = await site.run(['backup', 'drill', 'pdnsdb'])
  assert.equal(drill.code, 0, JSON.stringify([drill.result, drill.events]))
  await site.succeed(['exec', 'pdnsdb', '--', 'mariadb', '-e', 'DROP TABLE records', 'powerdns'])
  // What would have looked like a dump, smaller than the last one.
  await site.succeed(['exec', 'pdnsdb', '--', 'sh', '-c', 'chmod a-x /usr/bin/mariadb-dump'])
  const spoiled = await site.run(['backup', 'run', 'pdnsdb'])
  assert.equal(spoiled.code, 1)
  await site.succeed(['backup', 'restore', 'pdnsdb', '--confirm', 'pdnsdb'])
  await site.succeed(['exec', 'pdnsdb', '--', 'sh', '-c', 'chmod a+x /usr/bin/mariadb-dump'])
  assert.equal(await eventually('the record', 90_000, () => answers('10.88.0.5', 'asked.example.com')), 'seen')
})

test('the database keeps its data when its container dies', async () => {
  await site.succeed(['exec', 'powerdns', '--', 'pdnsutil', 'add-record', 'example.com', 'kept', 'TXT', '"kept"'])
  const tasks = await site.succeed(['call', 'p-hive0', 'ServiceService/Tasks', '{"service":"pdnsdb","runningOnly":true}'])
  const [task] = (tasks.result as { tasks: { node: string; containerId: string }[] }).tasks
  assert.ok(task)
  await site.onHost(`${task.node}.pdns`, `docker kill ${task.containerId}`)
  await eventually('another container of the database', patience, async () => {
    const again = await site.succeed(['call', 'p-hive0', 'ServiceService/Tasks', '{"service":"pdnsdb","runningOnly":true}'])
    return (again.result as { tasks: { containerId: string }[] }).tasks.some(({ containerId }) => containerId !== task.containerId && containerId !== '')
  })
  assert.equal(await eventually('the record', patience, () => answers('10.88.0.5', 'kept.example.com')), 'kept')
})
