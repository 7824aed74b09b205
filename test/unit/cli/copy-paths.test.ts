import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { lastPart, parseCopy, parsePlace, parted, renamed } from '../../../cli/commands/copy-paths.ts'

suite('what cp copies where', () => {
  test('a service has a name before the first colon; all else is of this machine', () => {
    assert.deepEqual(parsePlace('web:/etc/app'), { kind: 'service', service: 'web', path: '/etc/app' })
    assert.deepEqual(parsePlace('web:'), { kind: 'service', service: 'web', path: '/' })
    assert.deepEqual(parsePlace('web:a:b'), { kind: 'service', service: 'web', path: 'a:b' })
    for (const path of ['/a:b', './web:x', '../web:x', 'a/b:c', '-', 'plain']) assert.deepEqual(parsePlace(path), { kind: 'local', path })
  })

  test('just one side is in a service', () => {
    assert.deepEqual(parseCopy('web:/a', 'b'), { direction: 'out', service: 'web', from: '/a', to: 'b' })
    assert.deepEqual(parseCopy('a', 'web:/b'), { direction: 'in', service: 'web', from: 'a', to: '/b' })
    assert.throws(() => parseCopy('a', 'b'), /neither side is in a service/)
    assert.throws(() => parseCopy('web:a', 'db:b'), /both sides/)
  })

  test('names of paths', () => {
    assert.deepEqual(['/a/b', '/a/b/', 'b', '/', '/a/.', '..'].map(lastPart), ['b', 'b', 'b', '', '', ''])
    assert.deepEqual(parted('/a/b/'), { folder: '/a', name: 'b' })
    assert.deepEqual(parted('/a'), { folder: '/', name: 'a' })
    assert.deepEqual(parted('a'), { folder: '.', name: 'a' })
  })

  test('an archive’s first name becomes another, or nothing', () => {
    assert.deepEqual(
      ['app', 'app/', 'app/x/y', './app/x'].map((name) => renamed(name, 'new')),
      ['new', 'new/', 'new/x/y', 'new/x'],
    )
    assert.deepEqual(
      ['app', 'app/x/y'].map((name) => renamed(name, '')),
      ['', 'x/y'],
    )
  })
})
