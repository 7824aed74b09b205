import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BuildImage } from '#gen/hive/v1/steps_ansible.ts'
import { commitChanges, createBody } from '../../../agent/adapters/ansible/build-container.ts'
import { ansibleConfig, connections, folderVariables, playbook } from '../../../agent/adapters/ansible/playbook.ts'

const spec = (change: Partial<BuildImage> = {}): BuildImage => ({
  ...BuildImage.fromPartial({ name: 'image_web', service: 'web', from: 'debian:12' }),
  ...change,
})

test('the image starts as its base does', () => {
  assert.deepEqual(commitChanges(spec(), { Entrypoint: ['/init'], Cmd: ['run', '"x"'] }), ['ENTRYPOINT ["/init"]', 'CMD ["run","\\"x\\""]'])
})

test('an image whose base starts nothing runs the command it is given', () => {
  assert.deepEqual(commitChanges(spec(), {}), ['ENTRYPOINT ["/bin/sh","-c","exec \\"$@\\"","--"]', 'CMD []'])
  assert.deepEqual(commitChanges(spec(), { Entrypoint: [], Cmd: null }), ['ENTRYPOINT ["/bin/sh","-c","exec \\"$@\\"","--"]', 'CMD []'])
})

test('entrypoint, command, folder and ports of the definition win', () => {
  const changes = commitChanges(
    spec({ hasEntrypoint: true, entrypoint: ['/a'], hasCommand: true, command: [], workingDir: '/srv', expose: ['80', '53/udp'] }),
    {
      Entrypoint: ['/init'],
      Cmd: ['x'],
    },
  )
  assert.deepEqual(changes, ['ENTRYPOINT ["/a"]', 'CMD []', 'WORKDIR /srv', 'EXPOSE 80/tcp', 'EXPOSE 53/udp'])
})

test('a standalone image keeps its init and is built privileged', () => {
  const standalone = spec({ standalone: true })
  assert.deepEqual(commitChanges(standalone, { Cmd: ['/sbin/init'] }), [])
  const body = createBody(standalone, { Cmd: ['/lib/systemd/systemd'] }, {})
  assert.equal((body['HostConfig'] as Record<string, unknown>)['Privileged'], true)
  assert.equal('Entrypoint' in body, false)
  assert.equal('Cmd' in body, false)
  assert.deepEqual(createBody(standalone, {}, {})['Cmd'], ['/sbin/init'], 'a bare root file system names no start')
})

test("the build container sleeps, and the image's own variables win over proxies", () => {
  const body = createBody(spec({ environment: { http_proxy: 'own' } }), {}, { http_proxy: 'host', no_proxy: 'x' })
  assert.deepEqual(body['Env'], ['http_proxy=own', 'no_proxy=x'])
  assert.deepEqual(body['Entrypoint'], [])
})

test('the target is reached through docker, this host without ssh', () => {
  const { all } = JSON.parse(connections({ kind: 'container', name: 'image_web', containerId: 'abc' }, 'p-hive0.x'))
  assert.equal(all.hosts.image_web.ansible_connection, 'community.docker.docker')
  assert.equal(all.hosts.image_web.ansible_docker_host, 'abc')
  assert.deepEqual(all.hosts['p-hive0.x'], { ansible_connection: 'local' })
})

test("the play is for the target alone, roles in order, the site's before the built-in ones", () => {
  const [play] = JSON.parse(playbook('image_web', ['python-aptk', 'web']))
  assert.equal(play.hosts, 'image_web')
  assert.deepEqual(play.roles, ['python-aptk', 'web'])
  assert.equal(play.gather_facts, false)
  const folders = { content: '/w', run: '/r' }
  assert.match(ansibleConfig(folders), /^roles_path = \/w\/roles:\/w\/builtin_roles:\/w\/context\/roles$/m)
  assert.equal(JSON.parse(folderVariables(folders)).hive_context_dir, '/w/context')
})
