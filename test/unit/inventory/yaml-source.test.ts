import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { isMapping } from '../../../coordinator/inventory/mapping.ts'
import { Findings } from '../../../coordinator/inventory/problems.ts'
import { keyAt, readYaml, valueAt, writtenAt } from '../../../coordinator/inventory/yaml-source.ts'

describe('YAML is read as PyYAML reads it', () => {
  const scalars: readonly (readonly [string, unknown])[] = [
    ['yes', true],
    ['Off', false],
    ['y', 'y'],
    ['n', 'n'],
    ['0755', 493],
    ['08', '08'],
    ['0o14', '0o14'],
    ['0x1F', 31],
    ['1_000', 1000],
    ['53:53', 3233],
    ['8080:80', '8080:80'],
    ['2222:22', 133342],
    ['27017:27017', '27017:27017'],
    ['1e3', '1e3'],
    ['1.5e+3', 1500],
    ['~', null],
    ['', null],
    ['2020-01-01', '2020-01-01'],
    ['"53:53"', '53:53'],
    ['!!str 5', '5'],
    ['10.4', 10.4],
  ]
  for (const [text, value] of scalars) {
    test(`${text === '' ? 'nothing' : text} is ${JSON.stringify(value)}`, () => {
      assert.deepEqual(readYaml(`a: ${text}\n`, 'f.yml', new Findings()), { a: value })
    })
  }

  test('the last of two equal keys counts, and is told', () => {
    const findings = new Findings()
    assert.deepEqual(readYaml('a: 1\nb: 2\na: 3\n', 'f.yml', findings), { a: 3, b: 2 })
    assert.deepEqual(findings.notices, ['f.yml:3:1: a: is written twice in this mapping; the last one counts'])
  })

  test('merge keys fill in what is not written', () => {
    assert.deepEqual(readYaml('a: &a {x: 1, y: 2}\nb:\n  <<: *a\n  y: 3\n', 'f.yml', new Findings()), { a: { x: 1, y: 2 }, b: { x: 1, y: 3 } })
  })

  test('places of keys and values are kept', () => {
    const value = readYaml('a:\n  b: 53:53\n', 'f.yml', new Findings())
    assert.ok(isMapping(value) && isMapping(value['a']))
    assert.deepEqual(keyAt(value['a'], 'b'), { file: 'f.yml', line: 2, column: 3 })
    assert.deepEqual(valueAt(value['a'], 'b'), { file: 'f.yml', line: 2, column: 6 })
    assert.equal(writtenAt(value['a'], 'b'), '53:53')
  })
})
