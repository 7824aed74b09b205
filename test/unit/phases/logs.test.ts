import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import { logRules } from '../../../coordinator/phases/deploy-services/log-rules.ts'
import { collectorConfig, hostPattern } from '../../../coordinator/phases/log-files/collector.ts'
import { quoted } from '../../../coordinator/phases/log-files/rainer-script.ts'
import { relayConfig } from '../../../coordinator/phases/log-files/relay.ts'
import { logRule } from '../../../coordinator/phases/log-files/rule.ts'
import { rotation } from '../../../coordinator/phases/log-files/unit.ts'
import { logCollection, logPackages } from '../../../coordinator/phases/setup-hosts/log-collection.ts'
import { everything, service, site } from './sample-site.ts'
import { hostFixture, siteFixture } from './site-fixture.ts'

const stage = siteFixture()
const [hive, repository] = [hostFixture(0, 4), hostFixture(3, 4)]
const tls = siteFixture({ rest: { logs: { ...stage.logs, tls: true } } })

suite('logs', () => {
  test('of a hive host go on to the repository server, which is the only one that listens', () => {
    const config = relayConfig(stage, hive, repository)
    assert.match(config, /type="omrelp" target="192\.168\.0\.13" port="20514"/)
    assert.match(config, /^input\(type="imudp" address="127\.0\.0\.1" port="10514" /m)
    assert.match(config, /queue\.type="Disk".*\n(?:.*\n)*.*queue\.maxDiskSpace="1024m"/)
    assert.doesNotMatch(config, /tls|imjournal/)
  })

  test('are sent with certificates, and the host\u2019s own with them, where the site says so', () => {
    const config = relayConfig(tls, hive, repository)
    assert.match(config, /tls\.authMode="name" tls\.permittedPeer=\["p-hive3\.pdns"\]/)
    assert.match(config, /^module\(load="imjournal" .*ignorePreviousMessages="on"/m)
    assert.match(config, /^call hivePassOn$/m)
    const collector = collectorConfig(tls, repository)
    assert.match(collector, /tls\.permittedPeer=\["p-hive0\.pdns", "p-hive1\.pdns", "p-hive2\.pdns", "p-hive3\.pdns"\]/)
    assert.match(collector, /^input\(type="imtcp" port="10514"/m)
    assert.deepEqual([logPackages(stage, hive), logPackages(tls, repository)], [['rsyslog-relp'], ['rsyslog-relp', 'logrotate', 'rsyslog-gnutls']])
  })

  test('of a site whose repository server is a hive host have one way', () => {
    const both = { ...repository, isHive: true }
    const steps = logCollection(siteFixture({ hosts: [hive, both] }), both)
    assert.equal(steps.filter(({ id }) => id.includes('log-config')).length, 1)
    assert.ok(steps.some(({ id }) => id.includes('log-rotation')))
  })

  test('are kept for as long as the site says, and rotated by the group that may read them', () => {
    const text = rotation(siteFixture({ rest: { logs: { ...stage.logs, retentionDays: 90, group: 'ops' } } }))
    assert.match(text, /\trotate 90\n\tmaxage 90\n/)
    assert.match(text, /\tsu root ops\n\tcreate 0640 root ops\n/)
    assert.match(text, /^\/var\/log\/services\/\*\.log\n\/var\/log\/service-error\.log\n\/var\/log\/service-other-facility\.log\n/)
  })

  test('are told apart by the names of the stage\u2019s servers', () => {
    const pattern = new RegExp(hostPattern(site()))
    for (const name of ['localhost', 's-hive0.site', 's-hive12.site']) assert.match(name, pattern)
    for (const name of ['web', 's-hive0', 's-hive0xsite', 'p-hive0.site', 's-hive0.site.example', 'xs-hive0.site']) assert.doesNotMatch(name, pattern)
  })
})

suite('what is an error', () => {
  test('is written so that rsyslog reads it letter by letter', () => {
    assert.equal(quoted(`it's \\(a\\) "b" $c %d%\n`), `'it\\'s \\\\(a\\\\) "b" $c %d%\\n'`)
    assert.equal(
      logRule(service({ monitorError: ['timed out .* "/x', "it's"], ignoreError: ['\\(ok\\)'] })),
      [
        '# Errors of the service web: monitor_error and ignore_error of the inventory.',
        "if $.service == 'web' and (re_match($msg, 'timed out .* \"/x')",
        "  or re_match($msg, 'it\\'s'))",
        "  and not (re_match($msg, '\\\\(ok\\\\)'))",
        '  then call hiveError',
        '',
      ].join('\n'),
    )
    assert.equal(logRule(service({ ignoreError: ['x'] })), undefined)
  })

  test('is told to the repository server for the services of the stage, and taken back with them', () => {
    const services = [
      service({ name: 'watched', monitorError: ['x'] }),
      service({ name: 'quiet' }),
      service({ name: 'other', stages: ['production'], monitorError: ['x'] }),
    ]
    const specOf = (limited: ReadonlySet<string> | undefined) => {
      const [step, ...more] = logRules(site({ services }), { ...everything, services: limited })
      assert.deepEqual([step?.host, step?.needs, more], ['s-hive3.site', [], []])
      const kind = step?.spec?.kind
      assert.equal(kind?.$case, 'ensureLogRules')
      return kind?.$case === 'ensureLogRules' ? { ...kind.value, rules: kind.value.rules.map((rule) => rule.service) } : undefined
    }
    assert.deepEqual(specOf(undefined), { rules: ['watched'], absent: ['quiet'], complete: true })
    assert.deepEqual(specOf(new Set(['quiet'])), { rules: [], absent: ['quiet'], complete: false })
    assert.deepEqual(logRules(site({ services }), { ...everything, hosts: new Set(['s-hive0.site']) }), [])
  })
})
