/** The page in a real browser: live, by keyboard, narrow, dark, and deaf to what hosts would have it run. */
import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import { Browser, chromium } from '../../support/chromium.ts'
import { dashboardBed } from './bed.ts'
import { example } from './example-facts.ts'

const program = chromium()

describe('the page in a browser', { skip: program === undefined ? 'this machine has no chromium' : false }, () => {
  let browser: Browser
  before(async () => {
    browser = await Browser.start(program ?? '')
  })
  after(() => browser.close())

  const opened = async (t: TestContext, input = example()) => {
    browser.complaints.length = 0
    const bed = await dashboardBed(t, input)
    await browser.look({ width: 1280, height: 900 })
    await browser.open(bed.url())
    await browser.until(`document.querySelector('#hosts tbody') !== null && document.querySelector('#at').textContent === '12:00:00'`)
    return bed
  }

  it('changes by itself, and leaves open what the reader opened and where the reader is', async (t) => {
    const bed = await opened(t)
    await browser.value(
      `document.querySelector('#services tr[data-key=web] summary').click(), document.querySelector('#services tr[data-key=web] summary').focus()`,
    )
    const row = `document.querySelector('#volumes tr[data-key=db_data] progress')`
    assert.equal(await browser.value(`${row}.value`), 432)
    await browser.value(`window.kept = ${row}`)
    bed.show(example({ filled: 70, services: 9 }))
    await browser.until(`${row}.value === 700`)
    assert.equal(await browser.value(`window.kept === ${row}`), true)
    assert.equal(await browser.value(`document.querySelector('#services tr[data-key=queue] details') !== null`), true)
    assert.equal(await browser.value(`document.querySelector('#services tr[data-key=web] details').open`), true)
    assert.equal(await browser.value(`document.activeElement.closest('tr').dataset.key`), 'web')
    assert.match(String(await browser.value(`document.getElementById('summary').textContent`)), /Services: 8 of 9 whole/)
    assert.deepEqual(browser.complaints, [])
  })

  it('runs nothing that a host says, and shows it', async (t) => {
    const evil = `<img src=x onerror="window.hurt=1"><script>window.hurt=1</script><hive-evil>"'`
    const bed = await opened(t, example({ words: (plain) => plain + evil }))
    bed.show(example({ words: (plain) => `later ${evil}${plain}` }))
    await browser.until(`document.querySelector('#troubles').textContent.includes('later <img')`)
    assert.equal(await browser.value(`document.querySelectorAll('hive-evil, img, script:not([src])').length`), 0)
    assert.equal(await browser.value('window.hurt'), undefined)
    assert.equal(await browser.value(`document.querySelector('#hosts').textContent.includes('<hive-evil>')`), true)
    assert.deepEqual(browser.complaints, [])
  })

  it('is used by keyboard: an operation is asked about, and done where its name is typed', async (t) => {
    const bed = await opened(t)
    await browser.press('Tab')
    assert.equal(await browser.value(`document.activeElement.className`), 'skip')
    await browser.value(`document.querySelector('a[href*="do=restart"][href$="name=web"]').focus()`)
    await browser.press('Enter', '\r')
    await browser.until(`document.querySelector('form button') !== null && document.activeElement.id === 'confirm'`)
    await browser.type('web')
    await browser.press('Enter', '\r')
    await browser.until(`document.querySelector('#hosts tbody') !== null`)
    assert.deepEqual(bed.begun, [{ kind: 'restart', name: 'web', replicas: undefined }])
    assert.deepEqual(browser.complaints, [])
  })

  it('is read at 360 pixels, light and dark, without scrolling sideways', async (t) => {
    await opened(t, example({ hosts: 36, services: 200 }))
    const ground: unknown[] = []
    for (const scheme of ['light', 'dark'] as const) {
      await browser.look({ width: 360, height: 740 }, scheme)
      assert.equal(await browser.value('document.documentElement.scrollWidth'), 360)
      ground.push(await browser.value('getComputedStyle(document.body).backgroundColor'))
    }
    assert.notEqual(ground[0], ground[1])
  })

  it('is heard: tables, rows and what they are called, also where they are laid out as cards', async (t) => {
    await opened(t)
    await browser.look({ width: 360, height: 740 })
    const { nodes } = (await browser.send('Accessibility.getFullAXTree')) as unknown as {
      readonly nodes: readonly { readonly ignored: boolean; readonly role?: { readonly value: string }; readonly name?: { readonly value: string } }[]
    }
    const heard = nodes.filter(({ ignored }) => !ignored).map(({ role, name }) => `${role?.value}: ${name?.value}`)
    for (const wanted of [
      'table: Hosts, their part in the swarm, and what runs where',
      'columnheader: Swarm',
      'status: ',
      'navigation: At a glance',
      'link: Restart web',
      'link: Drain hive0',
      'progressbar: hive1: copy of db_data filled',
      'searchbox: Show only',
    ])
      assert.ok(
        heard.some((one) => one.startsWith(wanted)),
        `${wanted} is not among ${heard.join('\n')}`,
      )
    assert.equal(heard.filter((one) => one.startsWith('rowheader: hive')).length, 4)
  })

  it('finds one of many', async (t) => {
    await opened(t, example({ hosts: 36, services: 200 }))
    await browser.value(`document.getElementById('filter').focus()`)
    await browser.type('ldap-7')
    await browser.until(`[...document.querySelectorAll('#services tbody tr')].filter((row) => row.checkVisibility()).length === 1`)
  })

  it('says so when the command has ended', async (t) => {
    const bed = await opened(t)
    bed.dashboard.close()
    await browser.until(`document.body.classList.contains('stale')`)
    assert.match(String(await browser.value(`document.getElementById('state').textContent`)), /not connected|has ended/)
  })
})
