/** The operations of repairs, by the agents of the hosts. */
import type { DrbdHostView, DrbdOperationResponse } from '#gen/hive/v1/drbd.ts'
import type { AgentClient } from '../client/agent-client.ts'
import { answering, type SiteAgents } from '../client/site-agents.ts'
import type { VolumeOperations } from './carry-out.ts'

/** Milliseconds. */
const lookDeadline = 20_000
const deadline = 120_000
/** A docker that has many containers to start again. */
const unitDeadline = 200_000

interface Common {
  readonly name: string
  readonly confirm: string
  readonly preview: boolean
  readonly others: DrbdHostView[]
}

/** `hosts`: all that take part in the volumes: what they say at the moment goes along with each operation, so that its agent can judge. */
export function operationsOf(agents: Pick<SiteAgents, 'reach' | 'askAll'>, hosts: readonly string[], signal: AbortSignal): VolumeOperations {
  const clientOf = (host: string): Promise<AgentClient> => answering(agents, host, signal)
  const viewsOf = async (others: readonly string[], name: string): Promise<DrbdHostView[]> => {
    const asked = await agents.askAll(others, ({ drbd }) => drbd.status({ name, logSeconds: 0 }, { deadline: lookDeadline, signal }), signal)
    return [...asked].flatMap(([host, given]) => ('answer' in given ? [{ host, status: given.answer.status }] : []))
  }
  const perform = async (
    host: string,
    name: string,
    confirm: string,
    call: (client: AgentClient, common: Common, options: { readonly deadline: number; readonly signal: AbortSignal }) => Promise<DrbdOperationResponse>,
  ): Promise<DrbdOperationResponse> => {
    const others = await viewsOf(
      hosts.filter((other) => other !== host),
      name,
    )
    return call(await clientOf(host), { name, confirm, preview: false, others }, { deadline, signal })
  }
  return {
    adjust: async (host, name) => void (await perform(host, name, '', ({ drbd }, common, options) => drbd.adjust(common, options))),
    up: async (host, name) => void (await perform(host, name, '', ({ drbd }, common, options) => drbd.up(common, options))),
    demote: async (host, name) => void (await perform(host, name, '', ({ drbd }, common, options) => drbd.secondary({ ...common, force: false }, options))),
    connect: async (host, name, peer) => void (await perform(host, name, '', ({ drbd }, common, options) => drbd.connect({ ...common, peer }, options))),
    disconnect: async (host, name, peer) => void (await perform(host, name, '', ({ drbd }, common, options) => drbd.disconnect({ ...common, peer }, options))),
    async discard(host, name) {
      const { snapshot } = await perform(host, name, name, ({ drbd }, common, options) => drbd.discardMyData({ ...common, withoutSnapshot: false }, options))
      return snapshot
    },
    startUnit: async (host, name) => void (await (await clientOf(host)).hostService.controlUnit({ name, action: 'start' }, { deadline: unitDeadline, signal })),
    async declareValid(host, name) {
      await perform(host, name, name, ({ drbd }, common, options) => drbd.primary({ ...common, force: true }, options))
      await perform(host, name, '', ({ drbd }, common, options) => drbd.secondary({ ...common, force: false }, options))
    },
  }
}
