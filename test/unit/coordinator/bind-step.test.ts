import assert from 'node:assert/strict'
import { test } from 'node:test'
import { step } from '../../../coordinator/phases/phase.ts'
import { joinTokenBinder } from '../../../coordinator/run/bind-step.ts'
import { HiveError } from '../../../proto/errors.ts'

const first = step('setup-hosts', 'swarm', 'h0', 'the swarm', 'ensureSwarmMember', {
  advertiseAddress: '',
  init: true,
  role: 'manager',
  remoteAddresses: [],
  joinToken: '',
  dataPathPort: 0,
})

/** Binds the first host's step where only `members` are in a swarm. */
async function tokenOf(members: readonly string[]) {
  const reach = async (host: string) => ({
    client: {
      swarm: {
        joinToken: async () => {
          if (members.includes(host)) return { token: `token of ${host}` }
          throw new HiveError('command-failed', 'This node is not a swarm manager')
        },
      },
    },
  })
  const { spec } = await joinTokenBinder([first], ['h0', 'h1', 'h2'], { reach } as never)(first, new AbortController().signal)
  return spec?.kind?.$case === 'ensureSwarmMember' ? spec.kind.value.joinToken : undefined
}

test('a first host that was replaced gets a token of the swarm that the others are in', async () => {
  assert.equal(await tokenOf(['h2']), 'token of h2')
})

test('the first host of a new site gets none, and makes the swarm', async () => {
  assert.equal(await tokenOf([]), '')
})
