import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { escaped, html } from '../../../cli/dashboard/html.ts'
import { confirmPage } from '../../../cli/dashboard/question-page.ts'
import { page, sectionsOf } from '../../../cli/dashboard/render.ts'
import { type DashboardView, viewOf } from '../../../cli/dashboard/view.ts'
import { example } from './example-facts.ts'

const pageOf = (view: DashboardView): string => page(view, { base: '/x/', at: '12:00:00' })

interface Tag {
  readonly name: string
  readonly attributes: readonly (readonly [name: string, value: string])[]
}

/** As a browser's tokenizer reads the little of HTML that the page is made of; throws for anything else. */
function tokens(text: string): { readonly tags: readonly Tag[]; readonly text: string } {
  const tags: Tag[] = []
  let plain = ''
  let rest = text.replace(/^<!doctype html>\n/, '')
  while (rest !== '') {
    const [between = ''] = /^[^<]*/.exec(rest) ?? []
    assert.doesNotMatch(between, />/, between)
    plain += between
    rest = rest.slice(between.length)
    if (rest === '') break
    const [whole, name = '', inside = ''] = /^<(\/?[a-z][a-z0-9]*)((?:\s+[a-z-]+(?:="[^"<>]*")?)*)\s*>/.exec(rest) ?? []
    assert.ok(whole !== undefined, `no tag of ours: ${rest.slice(0, 80)}`)
    tags.push({ name, attributes: [...inside.matchAll(/([a-z-]+)(?:="([^"]*)")?/g)].map(([, key = '', value = '']) => [key, value] as const) })
    rest = rest.slice(whole.length)
  }
  return { tags, text: plain }
}

const skeleton = (text: string): string =>
  tokens(text)
    .tags.map(({ name, attributes }) => [name, ...attributes.map(([key]) => key)].join(' '))
    .join('\n')

/** What someone would try who may choose the text of a log line, an image or an error. */
const hostile = fc.oneof(
  fc.constantFrom(
    '<script>alert(1)</script>',
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    '</li></ul></section><section id=hosts>',
    '<!--',
    ']]>',
    '&lt;b&gt;&#60;b&#62;',
    'javascript:alert(1)',
    '\u001b]8;;http://x\u0007link',
    '\u202Egnp.exe',
    '\ud800',
    '\u0000',
    '',
  ),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: fc.constantFrom('<', '>', '"', "'", '&', '/', '=', ' ', 'a', '\n', '`', '\u2028'), maxLength: 30 }),
)

describe('the page', () => {
  it('has no markup but its own, whatever hosts, services and journals say', () => {
    const own = skeleton(pageOf(viewOf(example({ words: () => 'x' }))))
    fc.assert(
      fc.property(fc.array(hostile, { minLength: 1, maxLength: 8 }), (texts) => {
        let next = 0
        const words = (): string => `x${texts[next++ % texts.length]}`
        assert.equal(skeleton(pageOf(viewOf(example({ words })))), own)
      }),
      { numRuns: 150 },
    )
  })

  it('shows every text as it was written', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 30 }), (text) => {
        const shown = tokens(html`<p title="${text}">${text}</p>`.toString())
        const back = (value: string): string =>
          value.replaceAll('&lt;', '<').replaceAll('&gt;', '>').replaceAll('&quot;', '"').replaceAll('&#39;', "'").replaceAll('&amp;', '&')
        assert.equal(back(shown.text), text)
        assert.equal(back(shown.tags[0]?.attributes[0]?.[1] ?? ''), text)
      }),
    )
  })

  it('shows in place of what would turn or hide text that there is something', () => {
    assert.equal(escaped('a\u202Eb\u0000c\u001b[31md'), 'a\uFFFDb\uFFFDcd')
    assert.equal(escaped('מים, 水, é'), 'מים, 水, é')
  })

  it('asks before an operation with the name in it, escaped', () => {
    fc.assert(
      fc.property(hostile, (name) => {
        const question = { kind: 'restart' as const, about: '', verdict: undefined, replicas: undefined }
        const own = skeleton(confirmPage({ ...question, name: 'x' }, { base: '/x/', csrf: 'k' }))
        assert.equal(skeleton(confirmPage({ ...question, name }, { base: '/x/', csrf: 'k' })), own)
      }),
    )
  })

  it('offers no operation where it only shows', () => {
    assert.match(pageOf(viewOf(example({ operates: true }))), /href="confirm\?do=drain&amp;name=hive0"/)
    assert.doesNotMatch(pageOf(viewOf(example({ operates: false }))), /confirm\?/)
  })

  it('stands before any host has answered', () => {
    const view = viewOf({ ...example(), facts: undefined, runs: [], operations: [] })
    assert.ok(view.tiles.slice(0, 5).every(({ mark }) => mark.tone === 'quiet'))
    skeleton(pageOf(view))
  })

  it('takes 36 hosts and 200 services', () => {
    const sections = sectionsOf(viewOf(example({ hosts: 36, services: 200 })))
    const rows = (id: 'hosts' | 'services'): number => [...(sections.get(id)?.toString() ?? '').matchAll(/<tr role="row" data-key=/g)].length
    assert.deepEqual([rows('hosts'), rows('services')], [36, 200])
  })
})

describe('what the page says', () => {
  const view = viewOf(example())

  it('sums up what is not as it should be', () => {
    assert.deepEqual(
      view.tiles.map(({ name, mark: { text, tone } }) => `${name}: ${text} (${tone})`),
      [
        'Hosts: 3 of 4 answer (bad)',
        'Swarm: 2 of 3 managers, still a majority (warn)',
        'Services: 7 of 8 whole (bad)',
        'Mirrored volumes: 0 of 2 whole (bad)',
        'To look at: 5 (bad)',
        'Drift: none, 3 h ago (good)',
        'Last run: deploy goes on (warn)',
      ],
    )
  })

  it('tells a host that does not answer once, be it by the doctor or by itself', () => {
    const silent = view.troubles.filter(({ title }) => title.includes('hive2'))
    assert.deepEqual(
      silent.map(({ title }) => title),
      ['host-unreachable: hive2 did not answer'],
    )
    const facts = example().facts
    assert.ok(facts !== undefined)
    const undoctored = viewOf({ ...example(), facts: { ...facts, doctor: undefined } })
    assert.deepEqual(
      undoctored.troubles.map(({ title }) => title).filter((title) => title.includes('hive2')),
      ['hive2 does not answer: does not answer within 5 s'],
    )
  })

  it('says aloud what changes, and not each percent of it', () => {
    assert.equal(viewOf(example({ filled: 44 })).summary, view.summary)
    assert.notEqual(viewOf(example({ filled: 44 })).tiles[3]?.detail, view.tiles[3]?.detail)
  })

  it('has how far a copy is filled', () => {
    const copy = view.volumes.find(({ name }) => name === 'db_data')?.copies.find(({ host }) => host === 'hive1')
    assert.equal(copy?.fill?.toFixed(3), '0.432')
    assert.match(copy?.remarks.map(({ text }) => text).join(' ') ?? '', /SyncTarget from hive0, 11\.4 GiB left, 61\.4 MiB\/s, 4 min/)
    assert.match(sectionsOf(view).get('volumes')?.toString() ?? '', /<progress max="1000" value="432"/)
  })

  it('puts services that are not whole first, with why', () => {
    assert.equal(view.services[0]?.name, 'grafana')
    assert.match(view.services[0]?.tasks[0]?.why ?? '', /no suitable node/)
  })

  it('follows a run that goes on, and knows one whose coordinator died', () => {
    assert.equal(view.live, view.runs[0]?.runId)
    const steps = view.runs[0]?.phases
      .find(({ name }) => name === 'deploy-services')
      ?.steps.map(({ title, state, text, progress }) => ({ title, state, text, progress }))
    assert.deepEqual(steps, [
      { title: 'service web', state: 'changed', text: 'other image', progress: undefined },
      { title: 'service wiki', state: 'running', text: '1 of 2 tasks runs', progress: undefined },
      { title: 'service mail', state: 'running', text: 'pulling', progress: 0.61 },
    ])
    const dead = viewOf({ ...example(), busy: false })
    assert.deepEqual([dead.live, dead.tiles.at(-1)?.mark.text], [undefined, 'deploy did not end'])
  })
})
