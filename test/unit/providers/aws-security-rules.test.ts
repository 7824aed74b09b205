import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import {
  foundRules,
  permissionsOf,
  ruleChanges,
  ruleText,
  type SecurityRule,
  selfSource,
  wantedRules,
} from '../../../coordinator/providers/aws/security-rules.ts'

const nothing = { sshPorts: [22], sshSources: [], services: [], given: undefined, ipv6: false }
const given = (rules: unknown): readonly string[] => wantedRules({ ...nothing, given: rules }).map(ruleText)
const port = (published: number, protocol = 'tcp') => ({ published, target: published, protocol, mode: 'ingress' }) as never

const rule: fc.Arbitrary<SecurityRule> = fc
  .record({
    protocol: fc.constantFrom('-1', 'tcp', 'udp', '132', 'icmp', 'icmpv6', '50'),
    from: fc.integer({ min: 0, max: 65_535 }),
    length: fc.integer({ min: 0, max: 100 }),
    source: fc.constantFrom(selfSource, '0.0.0.0/0', '::/0', '192.0.2.0/24', '2001:db8::/32', 'sg-0123456789abcdef0', 'pl-0123456789abcdef0'),
  })
  .map(({ protocol, from, length, source }) =>
    ['tcp', 'udp'].includes(protocol) ? { protocol, from, to: Math.min(65_535, from + length), source } : { protocol, from: -1, to: -1, source },
  )

describe('the rules of the security group', () => {
  it('let the hosts reach one another, ssh in from where it is allowed, and all to what is published below 10000', () => {
    const services = [{ ports: [port(443), port(53, 'udp'), port(9999, 'sctp'), port(10_000), port(61_001)] }]
    assert.deepEqual(wantedRules({ ...nothing, sshPorts: [22, 2222], sshSources: ['192.0.2.0/24', '2001:db8::/32'], services }).map(ruleText), [
      'all from self',
      'tcp 22 from 192.0.2.0/24',
      'tcp 2222 from 192.0.2.0/24',
      'udp 53 from 0.0.0.0/0',
      'tcp 443 from 0.0.0.0/0',
      '132 from 0.0.0.0/0',
    ])
  })

  it('have IPv6 where the network has it', () => {
    const rules = wantedRules({ ...nothing, sshSources: ['2001:db8::/32'], services: [{ ports: [port(80)] }], ipv6: true }).map(ruleText)
    assert.deepEqual(rules, ['all from self', 'tcp 22 from 2001:db8::/32', 'tcp 80 from 0.0.0.0/0', 'tcp 80 from ::/0'])
  })

  it('found as they were set are no change', () =>
    fc.assert(
      fc.property(fc.uniqueArray(rule, { selector: ruleText }), (rules) => {
        assert.deepEqual(ruleChanges(rules, foundRules(permissionsOf(rules, 'sg-00000000'), 'sg-00000000')), { add: [], remove: [] })
      }),
    ))

  it('are added where they are wanted and not found, removed where found and not wanted', () =>
    fc.assert(
      fc.property(fc.uniqueArray(rule, { selector: ruleText }), fc.uniqueArray(rule, { selector: ruleText }), (wanted, found) => {
        const { add, remove } = ruleChanges(wanted, found)
        const after = new Set([...found.map(ruleText).filter((text) => !remove.map(ruleText).includes(text)), ...add.map(ruleText)])
        assert.deepEqual(after, new Set(wanted.map(ruleText)))
      }),
    ))
})

describe('hive_ec2_group_rules', () => {
  it('takes the forms of the Ansible module', () => {
    assert.deepEqual(given([{ proto: 'all', group_name: 'default' }]), ['all from self'])
    assert.deepEqual(given([{ proto: -1, cidr_ip: '192.0.2.0/24' }]), ['all from 192.0.2.0/24'])
    assert.deepEqual(given([{ proto: 'tcp', from_port: 22, to_port: 22, cidr_ip: ['192.0.2.0/24', '198.51.100.0/24'] }]), [
      'tcp 22 from 192.0.2.0/24',
      'tcp 22 from 198.51.100.0/24',
    ])
    assert.deepEqual(given([{ ports: [80, '8000-8010'], cidr_ip: '0.0.0.0/0', cidr_ipv6: '::/0' }]), [
      'tcp 80 from 0.0.0.0/0',
      'tcp 80 from ::/0',
      'tcp 8000-8010 from 0.0.0.0/0',
      'tcp 8000-8010 from ::/0',
    ])
    assert.deepEqual(given([{ proto: 'udp', from_port: '53', to_port: '53', group_id: 'sg-0123' }]), ['udp 53 from sg-0123'])
    assert.deepEqual(given([{ proto: 'icmp', from_port: -1, to_port: -1, cidr_ip: '0.0.0.0/0' }]), ['icmp from 0.0.0.0/0'])
    assert.deepEqual(given([{ proto: 'sctp', from_port: 9000, cidr_ip: '0.0.0.0/0' }]), ['132 from 0.0.0.0/0'])
  })

  it('replaces all other rules', () => assert.deepEqual(given([]), []))

  it('that can not be read says which rule, and how to write it', () => {
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      ['ssh', /is not a list/],
      [['ssh'], /rule 1 is not a mapping/],
      [
        [
          { proto: 'all', group_name: 'default' },
          { proto: 'tcp', from_port: 22 },
        ],
        /rule 2 says no source/,
      ],
      [[{ proto: 'tcp', cidr_ip: '0.0.0.0/0' }], /rule 1 has no from_port/],
      [[{ proto: 'tcp', from_port: 'ssh', cidr_ip: '0.0.0.0/0' }], /rule 1 has the port ssh/],
      [[{ proto: 'tcp', from_port: 22, group_name: 'web' }], /rule 1 names the group web/],
    ]
    for (const [rules, message] of wrong) assert.throws(() => given(rules), { code: 'invalid-input', message })
  })
})
