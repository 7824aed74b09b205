/**
 * A deploy that stops anywhere is finished by the next one, or taken away by destroy; answers that are lost and throttling change nothing. Where it stops is
 * one third of all places, another one in each run: HIVE_THIRD=0, 1 or 2 is that one, HIVE_THIRD=all all of them.
 */
import assert from 'node:assert/strict'
import { after, before, beforeEach, suite, test } from 'node:test'
import { DeleteTagsCommand } from '@aws-sdk/client-ec2'
import type { AwsWant } from '../../coordinator/providers/aws/want.ts'
import type { StageState } from '../../coordinator/run/stage-state.ts'
import { accountOf, exampleAccount, nothing } from './account.ts'
import type { Call } from './call.ts'
import { type Ec2, startEc2 } from './ec2.ts'
import { exampleWant, memory, type TestStage, testStage } from './stage.ts'

let ec2: Ec2
let want: AwsWant
const chosen = process.env['HIVE_THIRD'] ?? String(Math.floor(Math.random() * 3))
if (!/^(?:[012]|all)$/.test(chosen)) throw new Error(`HIVE_THIRD=${chosen}: 0, 1, 2 or all`)
/** Whether the coordinator dies at the nth write in this run. */
const diesAt = (at: number): boolean => chosen === 'all' || at % 3 === Number(chosen)

/** Writes of a whole creation, in the order of one run. */
let writes: readonly Call[]

before(async () => {
  console.log(`HIVE_THIRD=${chosen}`)
  ec2 = await startEc2()
  want = await exampleWant()
  await created(open(), exampleAccount)
  writes = ec2.front.writes()
})
after(() => ec2.stop())
beforeEach(() => ec2.reset())

/** A coordinator: it remembers what is in the stage's state and nothing else. */
const open = (state: StageState = memory(), signal?: AbortSignal): TestStage =>
  testStage(want, { endpoint: ec2.endpoint, state, ...(signal === undefined ? {} : { signal }) })

async function account() {
  const { interfaces: _, ...rest } = await accountOf(ec2.front.client(want.region))
  return rest
}

async function created(stage: TestStage, expected: object): Promise<void> {
  try {
    await stage.apply()
    assert.deepEqual(await account(), expected)
    assert.deepEqual((await stage.plan()).actions, [])
  } finally {
    stage.close()
  }
}

/** The coordinator dies at the nth write: before AWS does it, or after, with the answer lost. What else is under way goes with it. */
async function dieAt(at: number, when: 'before' | 'after', work: (stage: TestStage) => Promise<unknown>, state: StageState): Promise<void> {
  const death = new AbortController()
  let seen = 0
  const unhook = ec2.front.hook(
    '*',
    async () => {
      seen += 1
      if (seen < at) return undefined
      death.abort()
      return 'drop'
    },
    when,
  )
  const stage = open(state, death.signal)
  try {
    await assert.rejects(work(stage), (error) => death.signal.aborted && error instanceof Error)
  } finally {
    stage.close()
    unhook()
    // Whoever starts the next run needs longer than a call that was on its way.
    await ec2.front.quiet()
  }
}

suite('a coordinator that dies', () => {
  test('at any write of a creation: the next run finishes, with no second of anything', async () => {
    for (let at = 1; at <= writes.length; at++) {
      if (!diesAt(at)) continue
      await ec2.reset()
      const state = memory()
      // Before one is about the same as after the one before it.
      await dieAt(at, at % 5 === 1 ? 'before' : 'after', (stage) => stage.apply(), state)
      await created(open(state), exampleAccount)
    }
  })

  test('after any write of a creation: destroy takes away what there is', async () => {
    for (let at = 1; at <= writes.length; at++) {
      if (!diesAt(at)) continue
      await ec2.reset()
      await dieAt(at, 'after', (stage) => stage.apply(), memory())
      const stage = open()
      await stage.destroy()
      stage.close()
      assert.deepEqual(await accountOf(ec2.front.client(want.region)), nothing, `after write ${at}`)
    }
  })

  test('at any write of destroy: the next one takes away the rest', async () => {
    const make = async (): Promise<void> => {
      await ec2.reset()
      const stage = open()
      await stage.apply()
      stage.close()
      ec2.front.forget()
    }
    await make()
    const counting = open()
    await counting.destroy()
    counting.close()
    const total = ec2.front.writes().filter(({ error }) => error === undefined).length
    for (let at = 1; at <= total; at++) {
      if (!diesAt(at)) continue
      await make()
      await dieAt(at, at % 2 === 0 ? 'before' : 'after', (dying) => dying.destroy(), memory())
      const again = open()
      await again.destroy()
      again.close()
      assert.deepEqual(await accountOf(ec2.front.client(want.region)), nothing, `at write ${at}`)
    }
  })

  test('where somebody took the tags off the network: destroy still finds all of it', async () => {
    const stage = open()
    await stage.apply()
    const { found } = await stage.plan()
    const past = ec2.front.client(want.region)
    await past.send(new DeleteTagsCommand({ Resources: [found.vpcs[0]?.id ?? ''], Tags: ['Name', 'Project', 'hive:stage'].map((Key) => ({ Key })) }))
    await stage.destroy()
    stage.close()
    assert.deepEqual(await accountOf(past), nothing)
  })
})

suite('answers', () => {
  test('of each kind, the first and the last of which is lost: one of everything', async () => {
    for (const [action, calls = []] of Object.entries(Object.groupBy(writes, (write) => write.action))) {
      await ec2.reset()
      ec2.front.loseAnswer(action, 1)
      if (calls.length > 1) ec2.front.loseAnswer(action, calls.length)
      await created(open(), exampleAccount)
    }
  })

  test('RequestLimitExceeded three times for each call', async () => {
    for (const action of new Set([...ec2.front.calls(), ...writes].map((call) => call.action))) ec2.front.throttle(action, 3)
    ec2.front.throttle('DescribeVpcs', 3)
    ec2.front.throttle('DescribeInstances', 3)
    await created(open(), exampleAccount)
  })

  test('that do not know what was just made', async () => {
    ec2.front.pace.hidden = 2
    ec2.front.pace.instances = 3
    ec2.front.pace.volumes = 3
    const stage = open()
    await created(stage, exampleAccount)
    const again = open()
    await again.destroy()
    again.close()
    assert.deepEqual(await accountOf(ec2.front.client(want.region)), nothing)
  })
})
