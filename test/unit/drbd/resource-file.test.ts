import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import { type ResourceFileSpec, renderResource } from '../../../agent/adapters/drbd/resource-file.ts'
import { HiveError } from '../../../proto/errors.ts'
import { node, resourceFileSpec as spec } from '../../support/resource-file-spec.ts'

/** Lines without their comments. */
const settings = (text: string): string[] => text.split('\n').map((line) => line.replace(/;\s+#.*$/, ';').trim())
const refused = (changes: Partial<ResourceFileSpec>) =>
  assert.throws(
    () => renderResource(spec(changes)),
    (error) => error instanceof HiveError && error.code === 'invalid-input',
  )

suite('a resource file', () => {
  test('names hosts, device and port as hive-builder does', () => {
    const lines = settings(renderResource(spec()))
    const start = lines.indexOf('on "s-hive0.pdns" {')
    assert.deepEqual(lines.slice(start, start + 7), [
      'on "s-hive0.pdns" {',
      'node-id 0;',
      'address ipv4 10.0.0.10:7001;',
      'device minor 1;',
      'disk "/dev/drbdvg/pdnsdb_data";',
      'meta-disk internal;',
      '}',
    ])
    const diskless = lines.indexOf('on "s-hive2.pdns" {')
    assert.deepEqual(lines.slice(diskless + 3, diskless + 6), ['device minor 1;', 'disk none;', '}'])
    assert.ok(lines.includes('hosts "s-hive0.pdns" "s-hive1.pdns" "s-hive2.pdns";'))
  })

  test('has the same bytes in whatever order the hosts come', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6, 7], { minLength: 8 }), (order) => {
        const inOrder = renderResource(spec({ nodes: [0, 1, 2, 3, 4, 5, 6, 7].map((id) => node(id)) }))
        assert.equal(renderResource(spec({ nodes: order.map((id) => node(id)) })), inOrder)
      }),
    )
  })

  test('gives up data on a resync only where a thin pool reads zeros afterwards', () => {
    assert.match(renderResource(spec()), /rs-discard-granularity 1048576/)
    assert.doesNotMatch(renderResource(spec({ thinPool: '' })), /rs-discard-granularity/)
  })

  test('says every option once, and only options that DRBD 9.3 was seen to take', () => {
    const recorded = ['34-options-accepted', '34b-options-alg-and-sb-values'].flatMap((state) =>
      readFileSync(new URL(`../../fixtures/drbd9/${state}/options.tsv`, import.meta.url), 'utf8').split('\n'),
    )
    const accepted = new Set(recorded.flatMap((line) => /^(?:(?:opts|net|disk)\t)?([a-z0-9-]+) \S+\t0 0\b/.exec(line)?.[1] ?? []))
    // Part of every recorded configuration.
    for (const always of ['protocol', 'shared-secret']) accepted.add(always)
    const text = renderResource(spec())
    const names = ['options', 'net', 'disk'].flatMap((name) => {
      const body = new RegExp(`^  ${name} \\{\\n([^}]*)\\n  \\}$`, 'm').exec(text)?.[1] ?? ''
      return settings(body).map((line) => line.split(' ')[0] ?? '')
    })
    assert.ok(names.length > 20)
    assert.deepEqual(
      names.filter((name) => !accepted.has(name)),
      [],
    )
    assert.equal(new Set(names).size, names.length)
    assert.ok(!names.includes('disk-timeout'))
  })

  test('is refused where DRBD would misread it', () => {
    refused({ sharedSecret: 'x'.repeat(64) })
    refused({ sharedSecret: 'a"b' })
    refused({ sharedSecret: '' })
    refused({ name: 'a";' })
    refused({ volumeGroup: '../x' })
    refused({ nodes: [] })
    refused({ nodes: [node(32)] })
    refused({ nodes: [node(1), { ...node(2), nodeId: 1 }] })
    refused({ nodes: [node(1), { ...node(1), nodeId: 2 }] })
    refused({ nodes: [{ ...node(1), address: '10.0.0.1:7001' }] })
  })
})
