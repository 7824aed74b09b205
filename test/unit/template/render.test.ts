import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { evaluate, isTemplate, render } from '../../../coordinator/template/render.ts'
import { omit, TemplateError, type TemplateScope } from '../../../coordinator/template/template.ts'

function scopeOf(variables: Record<string, unknown>, lookup: TemplateScope['lookup'] = () => assert.fail('no lookup is expected')): TemplateScope {
  return { variable: (name) => (Object.hasOwn(variables, name) ? variables[name] : undefined), lookup }
}

function failure(work: () => unknown): TemplateError {
  try {
    work()
  } catch (error) {
    if (error instanceof TemplateError) return error
    throw error
  }
  return assert.fail('no error')
}

test('text without marks is itself', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      fc.pre(!isTemplate(text))
      assert.equal(render(text, scopeOf({})), text)
    }),
  )
})

test('to_json then from_json gives the value back', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const same = JSON.parse(JSON.stringify(value)) as unknown
      assert.deepEqual(evaluate('x | to_json | from_json', scopeOf({ x: same })), same)
    }),
  )
})

test('sorting keeps the items and is stable under repetition', () => {
  fc.assert(
    fc.property(fc.array(fc.integer()), (list) => {
      const sorted = evaluate('x | sort', scopeOf({ x: list }))
      assert.deepEqual(
        sorted,
        [...list].sort((a, b) => a - b),
      )
      assert.deepEqual(evaluate('x | sort | sort', scopeOf({ x: list })), sorted)
    }),
  )
})

test('unique drops only repetitions', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 5 })), (list) => {
      assert.deepEqual(evaluate('x | unique', scopeOf({ x: list })), [...new Set(list)])
    }),
  )
})

test('a list survives its text form', () => {
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.boolean(), fc.constant(null))), (list) => {
      assert.deepEqual(render('{{ x ~ "" }}', scopeOf({ x: list })), list)
    }),
  )
})

test('omit comes out as the symbol', () => {
  for (const source of ['{{ hive_email | default(omit) }}', "{{ omit if p == 'aws' else 'ntp' }}", '{{ omit }}', "{% if p == 'aws' %}{{ omit }}{% endif %}"]) {
    assert.equal(render(source, scopeOf({ p: 'aws' })), omit, source)
  }
  assert.equal(failure(() => render('a{{ omit }}', scopeOf({}))).problem, 'type')
})

test('an undefined variable is named with its path and place', () => {
  const error = failure(() => render('see {{ site.mail.host }}', scopeOf({ site: { mail: {} } })))
  assert.deepEqual([error.problem, error.variable], ['undefined', 'site.mail.host'])
  assert.equal(failure(() => render('see {{ site.mail }}', scopeOf({}))).offset, 7)
  assert.equal(failure(() => render('{{ gone | mandatory }}', scopeOf({}))).variable, 'gone')
})

test('a variable that needs something undefined is undefined itself', () => {
  const scope: TemplateScope = {
    variable: () => {
      throw new TemplateError('undefined', "'inner' is undefined", 3, 'inner')
    },
    lookup: () => null,
  }
  assert.equal(render("{{ outer | default('x') }}", scope), 'x')
  assert.equal(failure(() => render('a {{ outer }}', scope)).variable, 'inner')
})

test('only variables that are reached are asked for, and hostvars are not enumerated', () => {
  const asked: string[] = []
  const hostvars = new Proxy({ a: { ip: '10.0.0.1' } } as Record<string, unknown>, { ownKeys: () => assert.fail('enumerated') })
  const scope: TemplateScope = {
    variable: (name) => {
      asked.push(name)
      return name === 'hostvars' ? hostvars : name === 'yes' ? true : undefined
    },
    lookup: () => null,
  }
  assert.equal(render("{{ hostvars['a'].ip if yes else expensive }}", scope), '10.0.0.1')
  assert.deepEqual(asked, ['yes', 'hostvars'])
  assert.deepEqual(render("{{ ['a'] | map('extract', hostvars, 'ip') | list }}", scope), ['10.0.0.1'])
})

test('lookups get their terms and options', () => {
  const calls: unknown[] = []
  const scope = scopeOf({ hive_context_dir: '/c' }, (plugin, args, options) => {
    calls.push([plugin, args, [...options]])
    return 'secret'
  })
  assert.equal(render("{{ lookup('password', hive_context_dir + '/registry_password length=15 chars=ascii_letters,digits') }}1A", scope), 'secret1A')
  assert.deepEqual(render("{{ query('vars', 'a', default=1) }}", scope), ['secret'])
  assert.deepEqual(calls, [
    ['password', ['/c/registry_password length=15 chars=ascii_letters,digits'], []],
    [
      'vars',
      ['a'],
      [
        ['default', 1],
        ['wantlist', true],
      ],
    ],
  ])
})

test('addresses are taken apart', () => {
  const scope = scopeOf({ c: '10.1.2.3/24' })
  const queries: [string, unknown][] = [
    ["'address'", '10.1.2.3'],
    ["'network'", '10.1.2.0'],
    ["'netmask'", '255.255.255.0'],
    ["'prefix'", 24],
    ["'subnet'", '10.1.2.0/24'],
    ['1', '10.1.2.1/24'],
    ['-1', '10.1.2.255/24'],
    ["'10.1.0.0/16'", '10.1.2.3/24'],
  ]
  for (const [query, expected] of queries) assert.equal(evaluate(`c | ipaddr(${query})`, scope), expected, query)
  assert.equal(evaluate("'x' | ipaddr", scope), false)
  assert.equal(evaluate("'fd00::1' | ipv4", scope), false)
})

test('what would differ on every render is refused', () => {
  for (const source of ["{{ 'a' | password_hash }}", '{{ [1] | random }}', '{{ now() }}', "{% include 'x' %}"]) {
    assert.equal(failure(() => render(source, scopeOf({}))).problem, 'unsupported', source)
  }
})
