/** What a deploy does while agents die, cables are pulled, disks are full and containers stay sick. The tests build on each other. */
import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, suite, test } from 'node:test'
import type { DeployResult } from '../../coordinator/run/deploy.ts'
import { cable, healed, nodesReady, power, signalProcess, smallDisk } from './harness/breaking.ts'
import { addBulkyImage } from './harness/bulky-image.ts'
import { type CommandOutcome, LabSite } from './harness/lab-site.ts'
import { changedBy, told } from './harness/plans.ts'
import { tinyImageFolder } from './harness/tiny-image.ts'
import { labObstacle } from './obstacle.ts'

const services = 'inventory/services.yml'
const first = 'p-hive0.small'
const second = 'p-hive1.small'
const third = 'p-hive2.small'

/** Waits in a way that ends at once when it is told to. */
const waits = (before: string): string => `[busybox, sh, -c, "${before}trap exit TERM; while :; do sleep 1 & wait $!; done"]`

const service = (name: string, more: string, image = 'busybox:1', before = ''): string => `  ${name}:
    image: ${image}
    command: ${waits(before)}
    endpoint_mode: dnsrr
    stop_grace_period: 1s
${more}`

const healthcheck = (argv: string, retries: number): string => `    healthcheck:
      test: [CMD, busybox, ${argv}]
      interval: 1s
      timeout: 30s
      retries: ${retries}
`

const volume = (name: string, kind: string): string => `    volumes:
      - source: ${name}
        target: /data
        type: volume
        ${kind}
`
const mirrored = 'drbd: { fstype: ext4, size: 50M }'
const inMemory = 'driver: local\n        driver_opts: { type: tmpfs, device: tmpfs }'

suite('a site whose parts fail while it is deployed', { skip: labObstacle() ?? false }, () => {
  const images = mkdtempSync(join(tmpdir(), 'hive-lab-images-'))
  let site: LabSite

  const addService = (text: string): void => site.edit(services, (all) => all.replace('networks:\n  front:', `${text}networks:\n  front:`))

  const failures = (outcome: CommandOutcome): readonly { readonly host: string | undefined; readonly stepId: string | undefined; readonly text: string }[] =>
    (outcome.result as DeployResult).errors.map(({ host, stepId, message, hint, log }) => ({ host, stepId, text: [message, hint, ...log].join('\n') }))

  /** Deploys and answers what it says in the end; it must not have been killed at its deadline. */
  async function failing(settings: Parameters<LabSite['run']>[1] = {}, args: readonly string[] = ['deploy']): Promise<CommandOutcome> {
    const outcome = await site.run(args, settings)
    assert.equal(outcome.code, 1, `ended with ${outcome.code ?? outcome.signal} after ${Math.round(outcome.milliseconds)} ms`)
    return outcome
  }

  before(async () => {
    cpSync(tinyImageFolder(), images, { recursive: true })
    site = new LabSite(new URL('sites/small', import.meta.url).pathname, { images })
    await site.succeed(['deploy'])
  })

  after(async () => {
    await site.destroy()
    rmSync(images, { recursive: true, force: true })
  })

  test('a container that never becomes healthy fails its step with its log and a hint; other services are deployed', async () => {
    addService(service('sick', healthcheck('"false"', 1), 'busybox:1', 'echo no database here; '))
    addService(service('well', ''))
    const outcome = await failing()
    const [failure, ...others] = failures(outcome)
    assert.deepEqual(others, [])
    assert.deepEqual([failure?.host, failure?.stepId], [first, `deploy-services/sick@${first}`])
    assert.match(failure?.text ?? '', /service sick does not run: its health check fails/)
    assert.match(failure?.text ?? '', /no database here/)
    assert.match(failure?.text ?? '', /healthcheck/)
    assert.ok(changedBy(outcome).includes(`deploy-services/well@${first}`))

    site.edit(services, (text) => text.replace('busybox, "false"', 'busybox, "true"'))
    await healed(site)
  })

  test('an agent killed in the middle of a step: the deploy names host and step, and running again finishes', async () => {
    addService(service('slow', `${healthcheck('test, -e, /data/go', 1000)}${volume('slow_data', mirrored)}`))
    const slow = `deploy-services/slow@${first}`
    let killed = false
    const outcome = await failing({
      onEvent: (event) => {
        if (killed || event.code !== 'step.log' || event.stepId !== slow) return
        killed = true
        signalProcess(site, 'p-hive0', 'hive-agent', 'SIGKILL')
      },
    })
    assert.ok(killed)
    assert.deepEqual(
      failures(outcome).map(({ host, stepId }) => [host, stepId]),
      [[first, slow]],
    )
    assert.match(failures(outcome)[0]?.text ?? '', /the agent stopped during this step/)

    await site.onHost(first, 'touch "$(docker volume inspect slow_data --format "{{.Options.device}}")/go"')
    await healed(site)
  })

  test('a host cut off before a deploy is named and left out, the others get theirs, and the exit code tells', async () => {
    await cable(site, 'unplug', third)
    site.edit(services, (text) => text.replace('COLOUR: blue', 'COLOUR: green'))
    const outcome = await site.run(['deploy'])
    assert.equal(outcome.code, 5, JSON.stringify(outcome.errors))
    assert.deepEqual((outcome.result as DeployResult).unreachable, [third])
    assert.ok(told(outcome, 'warning').some(({ message }) => message === `${third} does not answer and is left out`))
    assert.ok(changedBy(outcome).includes(`deploy-services/store@${first}`))

    await cable(site, 'plug', third)
    await nodesReady(site, first, 3)
    await healed(site)
  })

  test('a host without power is started by a deploy, and left out by one that begins later', async () => {
    await power(site, 'off', third)
    const without = await site.run(['deploy', '--from', 'setup-hosts'])
    assert.equal(without.code, 5, JSON.stringify(without.errors))
    assert.deepEqual((without.result as DeployResult).unreachable, [third])

    await site.succeed(['deploy', '--only', 'build-infra'])
    await nodesReady(site, first, 3)
    await healed(site)
  })

  test('an upload that is cut off is taken up again', async () => {
    addBulkyImage(images, 'bulk', 100)
    addService(service('bulk', '', 'bulk:1'))
    let cut = false
    const outcome = await site.succeed(['deploy', '--only', 'build-images'], {
      onEvent: (event) => {
        if (cut || event.code !== 'step.progress' || event.what !== 'upload') return
        cut = true
        signalProcess(site, 'p-hive3', 'hive-agent', 'SIGKILL')
      },
    })
    assert.ok(cut)
    assert.deepEqual(changedBy(outcome), ['build-images/base-bulk:1@p-hive3.small'])
  })

  test('in the middle of a pull one host is cut off and the disk of another is full: both are named, and the third has it', async () => {
    const mend = await smallDisk(site, second, '/var/lib/docker/tmp', '1m')
    const image = (host: string): string => `deploy-services/image p-hive3.small:5000/bulk:1@${host}`
    let unplugged: Promise<void> | undefined
    const outcome = await failing({
      onEvent: (event) => {
        // Nothing can be pulled until the cable is out.
        if (event.code === 'phase.planned' && event.phase === 'deploy-services') signalProcess(site, 'p-hive3', 'docker-registry', 'SIGSTOP')
        if (event.code === 'step.started' && event.stepId === image(third))
          unplugged ??= cable(site, 'unplug', third).finally(() => signalProcess(site, 'p-hive3', 'docker-registry', 'SIGCONT'))
      },
    })
    await unplugged
    const failed = new Map(failures(outcome).map(({ stepId, text }) => [stepId, text]))
    assert.deepEqual([...failed.keys()].sort(), [image(second), image(third)])
    assert.match(failed.get(image(second)) ?? '', /no space left/)
    assert.match(failed.get(image(third)) ?? '', /did not answer for 60 s/)
    assert.ok(changedBy(outcome).includes(image(first)))

    await cable(site, 'plug', third)
    await mend()
    await nodesReady(site, first, 3)
    await healed(site)
  })

  test('an agent without a byte of disk survives, and its host is named with step and cause', async () => {
    const mend = await smallDisk(site, second, '/var/lib/hive-agent', '64k', true)
    const agent = 'systemctl show hive-agent --property MainPID --value'
    const before = await site.onHost(second, agent)
    addService(service('noted', volume('notes', inMemory)))
    // What the agent noted of its host's units is hidden too: setup-hosts would have something to do.
    const outcome = await failing({}, ['deploy', '--from', 'build-networks'])
    const [failure, ...others] = failures(outcome)
    assert.deepEqual(others, [])
    assert.deepEqual([failure?.host, failure?.stepId], [second, `build-volumes/notes@${second}`])
    assert.match(failure?.text ?? '', /no space left/)
    assert.equal(await site.onHost(second, agent), before)

    await mend()
    await healed(site)
  })

  test('without a majority of the hives nothing is deployed, and the deploy ends and says so', async () => {
    await Promise.all([cable(site, 'unplug', second), cable(site, 'unplug', third)])
    site.edit(services, (text) => text.replace(/COLOUR: \w+/, 'COLOUR: red'))
    const outcome = await failing()
    assert.match(failures(outcome)[0]?.text ?? '', /only 1 of 3 hive hosts answer, no majority/)
    assert.deepEqual(changedBy(outcome), [])

    await Promise.all([cable(site, 'plug', second), cable(site, 'plug', third)])
    await nodesReady(site, first, 3)
    await healed(site)
  })
})
