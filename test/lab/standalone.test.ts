/** A standalone service: systemd inside a container, its image built by roles while it runs. One host that is hive and repository at once. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { systemdImageFolder } from './harness/base-images.ts'
import { eventually, patience } from './harness/eventually.ts'
import { LabSite } from './harness/lab-site.ts'

let site: LabSite | undefined
const lab = (): LabSite => {
  assert.ok(site)
  return site
}

before(async () => {
  site = new LabSite(join(import.meta.dirname, 'sites/standalone'), { images: await systemdImageFolder() })
  await site.succeed(['deploy'], { deadline: 900_000 })
})
after(() => site?.destroy())

test('systemd is up inside the container, with the unit that a role left in the image', async () => {
  await eventually('the unit of the image', patience, async () => (await lab().run(['exec', 'box', 'cat', '/run/beat'])).code === 0)
  const { out } = await lab().succeed(['exec', 'box', 'systemctl', 'is-active', 'beat'])
  assert.equal(out.trim(), 'active')
})

test('initialize_roles were applied inside it', async () => {
  const { out } = await lab().succeed(['exec', 'box', 'cat', '/etc/hello'])
  assert.equal(out.trim(), 'hello box of private')
})

test('nothing is left to change', async () => {
  const { result } = await lab().succeed(['plan'])
  assert.deepEqual(
    (result as { steps: unknown[] }[]).flatMap(({ steps }) => steps),
    [],
  )
})
