/** File systems and mount targets are made, and go, over some answers; the emulator does both at once. */
import { type Answer, type Call, errorAnswer, type Request } from './call.ts'

interface Thing {
  readonly state: 'creating' | 'deleting'
  left: number
}

type Description = Record<string, unknown> & { LifeCycleState?: string }

export class EfsTransitions {
  readonly #things = new Map<string, Thing>()
  /** Mount targets that are gone, but shown. */
  readonly #going = new Map<string, Description>()

  forget(): void {
    this.#things.clear()
    this.#going.clear()
  }

  /** Before a write: refused while what it names is not ready, which counts as one look. */
  refusal(call: Call): Answer | undefined {
    const { action, params } = call
    const fileSystem = params['FileSystemId'] ?? params['Id'] ?? ''
    if (action === 'CreateMountTarget' && this.#look(fileSystem)?.state === 'creating')
      return errorAnswer(call, 409, 'IncorrectFileSystemLifeCycleState', `File system '${fileSystem}' is in state 'creating'`)
    if (action === 'DeleteFileSystem' && this.#goingOf(fileSystem).some(([id]) => this.#look(id) !== undefined))
      return errorAnswer(call, 409, 'FileSystemInUse', `File system '${fileSystem}' still has mount targets`)
    return undefined
  }

  /** What a mount target was before it is deleted. `ask` sends a request like the call's. */
  async remember(call: Call, request: Request, ask: (request: Request) => Promise<Answer>): Promise<Description | undefined> {
    if (call.action !== 'DeleteMountTarget') return undefined
    const path = request.path.replace(/\/mount-targets\/.*$/, `/mount-targets?MountTargetId=${call.params['Id'] ?? ''}`)
    const { status, body } = await ask({ ...request, method: 'GET', path, body: '' })
    return status === 200 ? (JSON.parse(body) as { MountTargets?: Description[] }).MountTargets?.[0] : undefined
  }

  /** After a write that was answered well; answers what the client gets. */
  begun(call: Call, answer: Answer, looks: number, before: Description | undefined): Answer {
    if (looks < 1) return answer
    if (call.action === 'DeleteMountTarget' && before !== undefined) {
      const id = String(before['MountTargetId'])
      this.#things.set(id, { state: 'deleting', left: looks })
      this.#going.set(id, before)
    }
    if (call.action !== 'CreateFileSystem' && call.action !== 'CreateMountTarget') return answer
    const made = JSON.parse(answer.body) as Description
    this.#things.set(String(made[call.action === 'CreateFileSystem' ? 'FileSystemId' : 'MountTargetId']), { state: 'creating', left: looks })
    return { ...answer, body: JSON.stringify({ ...made, LifeCycleState: 'creating' }) }
  }

  /** The answer to a describe, as EFS would give it now. */
  shown(call: Call, answer: Answer): Answer {
    const target = call.params['MountTargetId'] ?? ''
    if (call.action === 'DescribeMountTargets' && answer.status === 404 && this.#going.has(target)) {
      const description = this.#going.get(target)
      return this.#look(target) === undefined
        ? answer
        : { status: 200, type: answer.type, body: JSON.stringify({ MountTargets: [{ ...description, LifeCycleState: 'deleting' }] }) }
    }
    const names = ({ DescribeFileSystems: ['FileSystems', 'FileSystemId'], DescribeMountTargets: ['MountTargets', 'MountTargetId'] } as const)[
      call.action as 'DescribeFileSystems'
    ]
    if (answer.status !== 200 || names === undefined) return answer
    const body = JSON.parse(answer.body) as Record<string, Description[]>
    const listed = (body[names[0]] ?? []).map((each) => ({ ...each, LifeCycleState: this.#look(String(each[names[1]]))?.state ?? each.LifeCycleState }))
    const going =
      call.action === 'DescribeMountTargets' && call.params['FileSystemId'] !== undefined
        ? this.#goingOf(call.params['FileSystemId']).flatMap(([id, each]) => (this.#look(id) === undefined ? [] : [{ ...each, LifeCycleState: 'deleting' }]))
        : []
    return { ...answer, body: JSON.stringify({ ...body, [names[0]]: [...listed, ...going] }) }
  }

  #goingOf(fileSystem: string): [string, Description][] {
    return [...this.#going].filter(([, { FileSystemId }]) => FileSystemId === fileSystem)
  }

  #look(id: string): Thing | undefined {
    const thing = this.#things.get(id)
    if (thing === undefined) return undefined
    const before = { ...thing }
    thing.left -= 1
    if (thing.left <= 0) {
      this.#things.delete(id)
      this.#going.delete(id)
    }
    return before
  }
}
