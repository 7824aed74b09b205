import assert from 'node:assert/strict'
import test from 'node:test'
import fc from 'fast-check'
import { beginLine, editBlock, endLine } from '../../../agent/adapters/block.ts'

const edit = (content: string, rest: Partial<Parameters<typeof editBlock>[1]> = {}) => ({ marker: 'servers', content, atTop: false, commentOut: [], ...rest })

const ansibleBlock = '# BEGIN ANSIBLE MANAGED BLOCK p-hive0.pdns\n10.0.0.4 p-hive0.pdns\n# END ANSIBLE MANAGED BLOCK p-hive0.pdns\n'

test('a new block goes to the top or to the end', () => {
  assert.equal(editBlock('a\n', edit('x\n', { atTop: true })), '# BEGIN hive servers\nx\n# END hive servers\na\n')
  assert.equal(editBlock('a\n', edit('x')), 'a\n# BEGIN hive servers\nx\n# END hive servers\n')
})

test('a block keeps its place when its content changes', () => {
  const text = 'a\n# BEGIN hive servers\nx\n# END hive servers\nb\n'
  assert.equal(editBlock(text, edit('y\nz\n', { atTop: true })), 'a\n# BEGIN hive servers\ny\nz\n# END hive servers\nb\n')
})

test('empty content takes the block away', () => {
  assert.equal(editBlock('a\n# BEGIN hive servers\nx\n# END hive servers\nb\n', edit('')), 'a\nb\n')
})

test("Ansible's blocks stay as they are", () => {
  assert.equal(editBlock(ansibleBlock, edit('x', { atTop: true })), `# BEGIN hive servers\nx\n# END hive servers\n${ansibleBlock}`)
})

test('of a block without its end only the begin line goes', () => {
  assert.equal(editBlock('# BEGIN hive servers\nmine or not\n', edit('x')), '# BEGIN hive servers\nx\n# END hive servers\nmine or not\n')
})

test('a second copy of the block goes', () => {
  const twice = '# BEGIN hive servers\nx\n# END hive servers\na\n# BEGIN hive servers\nx\n# END hive servers\n'
  assert.equal(editBlock(twice, edit('x')), '# BEGIN hive servers\nx\n# END hive servers\na\n')
})

test('matching lines outside the block are commented, those inside are not', () => {
  const text = 'pool 2.debian.pool.ntp.org iburst\ndriftfile /x\n'
  const once = editBlock(text, edit('server a iburst', { commentOut: [/^(pool|server)\s/] }))
  assert.equal(once, '# pool 2.debian.pool.ntp.org iburst\ndriftfile /x\n# BEGIN hive servers\nserver a iburst\n# END hive servers\n')
  assert.equal(editBlock(once, edit('server a iburst', { commentOut: [/^(pool|server)\s/] })), once)
})

const lines = fc.array(
  fc.oneof(
    fc.string().filter((line) => !line.includes('\n')),
    fc.constantFrom('127.0.0.1 localhost', '# BEGIN ANSIBLE MANAGED BLOCK a', '', beginLine('other')),
  ),
)
const withMarkers = fc.array(
  fc.oneof(
    fc.constantFrom(beginLine('servers'), endLine('servers'), 'x', ''),
    fc.string().filter((line) => !line.includes('\n')),
  ),
)
const content = fc
  .array(
    fc.string().filter((line) => !line.includes('\n') && !line.includes(' hive servers')),
    { minLength: 1 },
  )
  .map((all) => all.join('\n'))
  .filter((text) => text !== '')

test('editing twice is editing once, whatever the file held', () => {
  fc.assert(
    fc.property(withMarkers, content, fc.boolean(), (file, block, atTop) => {
      const once = editBlock(file.join('\n'), edit(block, { atTop }))
      assert.equal(editBlock(once, edit(block, { atTop })), once)
    }),
  )
})

test('lines of others stay, in their order', () => {
  fc.assert(
    fc.property(lines, content, content, fc.boolean(), (file, first, second, atTop) => {
      const text = file.map((line) => `${line}\n`).join('')
      const edited = editBlock(editBlock(text, edit(first, { atTop })), edit(second, { atTop }))
      assert.equal(editBlock(edited, edit('')), text)
    }),
  )
})
