import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { excludesOf, withExcludes } from '../../../agent/adapters/kernel-hold.ts'

/** As EL 9 has it. */
const plain = '[main]\ngpgcheck=1\ninstallonly_limit=3\nclean_requirements_on_remove=True\nbest=True\nskip_if_unavailable=False\n'

test('the kernel is left out where nothing was', () => {
  assert.deepEqual(excludesOf(plain), [])
  assert.equal(withExcludes(plain, ['kernel*', 'kmod-drbd*']), plain.replace('[main]\n', '[main]\nexclude=kernel* kmod-drbd*\n'))
  assert.equal(withExcludes('', ['kernel*']), '[main]\nexclude=kernel*\n')
})

test("an administrator's own list is kept, on whatever lines it is", () => {
  const own = '[main]\nexcludepkgs = postgresql*,\n    nginx\n    mysql*\nbest=True\n[other]\nexclude=not-ours\n'
  assert.deepEqual(excludesOf(own), ['postgresql*', 'nginx', 'mysql*'])
  const after = withExcludes(own, [...excludesOf(own), 'kernel*'])
  assert.equal(after, '[main]\nexclude=postgresql* nginx mysql* kernel*\nbest=True\n[other]\nexclude=not-ours\n')
})

test('what hive-builder wrote is taken as it is', () => {
  assert.deepEqual(excludesOf(`${plain}exclude=kernel*\n`), ['kernel*'])
})

test('a list that is written is the one that is read, and nothing else changes', () => {
  const pattern = fc.stringMatching(/^[a-z][a-z0-9*-]{0,8}$/)
  const line = fc.constantFrom('gpgcheck=1', '# exclude=this', 'best=True', 'exclude=a b', 'excludepkgs=c', '')
  fc.assert(
    fc.property(fc.array(line, { maxLength: 6 }), fc.array(pattern, { minLength: 1, maxLength: 4 }), (lines, patterns) => {
      const text = ['[main]', ...lines, '[section]', 'exclude=other', ''].join('\n')
      const after = withExcludes(text, patterns)
      assert.deepEqual(excludesOf(after), patterns)
      const others = (of: string): readonly string[] => of.split('\n').filter((one) => !/^exclude/.test(one))
      assert.deepEqual(others(after), others(text))
      assert.ok(after.endsWith('[section]\nexclude=other\n'))
    }),
  )
})
