import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { it } from 'node:test'

const root = new URL('../../..', import.meta.url).pathname
const documents = ['README.md', ...globSync('docs/*.md', { cwd: root })]

it('links in documents lead to files that are there', () => {
  const broken = documents.flatMap((document) =>
    [...readFileSync(join(root, document), 'utf8').matchAll(/\]\((?!https?:)([^)#]+)/g)]
      .map(([, target]) => target ?? '')
      .filter((target) => !existsSync(join(root, dirname(document), target)))
      .map((target) => `${document}: ${target}`),
  )
  assert.deepEqual(broken, [])
})

/** As GitHub makes them from headings. */
const anchors = (text: string): ReadonlySet<string> =>
  new Set(
    [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    ),
  )

it('links to headings lead to headings that are there', () => {
  const broken = documents.flatMap((document) =>
    [...readFileSync(join(root, document), 'utf8').matchAll(/\]\((?!https?:)([^)#]*)#([^)]+)\)/g)]
      .filter(([, target = '', anchor = '']) => {
        const path = target === '' ? document : join(dirname(document), target)
        return !path.endsWith('.md') || !existsSync(join(root, path)) || !anchors(readFileSync(join(root, path), 'utf8')).has(anchor)
      })
      .map(([, target, anchor]) => `${document}: ${target}#${anchor}`),
  )
  assert.deepEqual(broken, [])
})

it('every RPC is named in agent.md', async () => {
  const { rules } = await import('../../../proto/roles.ts')
  const text = readFileSync(join(root, 'docs/agent.md'), 'utf8')
  const names = Object.keys(rules).filter((name) => name.startsWith('hive.v1.'))
  const missing = names.filter((name) => {
    const [service = '', rpc = ''] = name.replace('hive.v1.', '').split('/')
    return !text.split('\n').some((line) => line.startsWith('|') && line.includes(`\`${service}\``) && new RegExp(`\\b${rpc}\\b`).test(line))
  })
  assert.deepEqual(missing, [])
})

it("the README's table leads to every document", () => {
  const text = readFileSync(join(root, 'README.md'), 'utf8')
  assert.deepEqual(
    documents.filter((document) => document !== 'README.md' && !text.includes(`](${document})`)),
    [],
  )
})
