/** Repairs, one operation after the other. */
import { HiveError } from '../../proto/errors.ts'
import type { Repair, RepairAction } from './finding.ts'

/** What a host's agent does with a volume, or the host. Each ends when it is done and rejects with HiveError where the agent refuses: it looks at quorum and copies first. */
export interface VolumeOperations {
  adjust(host: string, volume: string): Promise<void>
  up(host: string, volume: string): Promise<void>
  demote(host: string, volume: string): Promise<void>
  connect(host: string, volume: string, peer: string): Promise<void>
  disconnect(host: string, volume: string, peer: string): Promise<void>
  /** Gives up what only this host has, after a snapshot of its logical volume, whose name it answers. */
  discard(host: string, volume: string): Promise<string>
  /** Makes this host's copy the data. */
  declareValid(host: string, volume: string): Promise<void>
  startUnit(host: string, unit: string): Promise<void>
}

/** Stops at the first operation that is refused: nothing is tried that the ones before should have prepared. `tell` gets one line an operation. */
export async function carryOut(volume: string, repair: Repair, operations: VolumeOperations, tell: (line: string) => void): Promise<void> {
  for (const [index, action] of repair.actions.entries()) {
    try {
      tell(await perform(volume, action, operations))
    } catch (error) {
      const rest = repair.actions.length - index - 1
      if (!(error instanceof HiveError) || rest === 0) throw error
      throw new HiveError(error.code, error.message, {
        host: action.host,
        hint: `${error.hint === undefined ? '' : `${error.hint}; `}${rest} of ${repair.actions.length} operations were not begun: ask the doctor again`,
        log: error.log,
        cause: error,
      })
    }
  }
}

async function perform(volume: string, action: RepairAction, operations: VolumeOperations): Promise<string> {
  const { host } = action
  switch (action.kind) {
    case 'adjust':
      await operations.adjust(host, volume)
      return `${host}: ${volume} is as its resource file says`
    case 'up':
      await operations.up(host, volume)
      return `${host}: ${volume} is up`
    case 'demote':
      await operations.demote(host, volume)
      return `${host}: ${volume} is Secondary`
    case 'connect':
      await operations.connect(host, volume, action.peer)
      return `${host}: ${volume} connects to ${action.peer}`
    case 'disconnect':
      await operations.disconnect(host, volume, action.peer)
      return `${host}: ${volume} is disconnected from ${action.peer}`
    case 'discard': {
      const snapshot = await operations.discard(host, volume)
      return `${host}: gives up its own changes of ${volume}${snapshot === '' ? '' : `; as it was it is kept in ${snapshot}`}`
    }
    case 'declare-valid':
      await operations.declareValid(host, volume)
      return `${host}: its copy of ${volume} is the data now`
    case 'start-unit':
      await operations.startUnit(host, action.unit)
      return `${host}: ${action.unit} runs`
  }
}
