/**
 * Stands before the EC2 emulator and makes up for what it lacks beside EC2, and lets a test see and disturb what is asked.
 *
 *   const ec2 = await startEc2()                   // ec2.ts: emulator and front together
 *   ec2.front.calls() / writes() / forget()        // what was asked, in order: service, action, params, status, error, performed
 *   front.throttle('RunInstances', 2)              // the next two: RequestLimitExceeded, 503; '*' means any action
 *   front.fail('RunInstances', 'InsufficientInstanceCapacity', 'no capacity', 500, 1)
 *   front.loseAnswer('CreateVolume', 1)            // the first from now on is performed, the client's connection broken
 *   front.hook('*', (call, nth) => …, 'before')    // at each write; 'drop' breaks the connection instead of performing; 'after': performed, not yet answered
 *   front.setPolicy(document) / setPolicy(undefined)   // what it doesn't allow: UnauthorizedOperation, 403
 *   front.pace.instances / volumes / hidden = N    // how many answers show what is under way, or don't find a new instance (pace.ts)
 *   front.onInstance(({kind, instance, userData, region}) => …)   // run, start, stop, terminate, after it was performed
 *   front.onAddresses((addresses, region) => …)    // all elastic addresses, after a change
 *   front.console = (instanceId) => text           // for GetConsoleOutput
 *   await front.settle()                           // all that is under way is at its end
 *
 * By itself: ClientToken is honoured; writes go one at a time, and not at all when their client has gone before their
 * turn; DependencyViolation and its like (dependencies.ts); terminated instances give up their network interfaces and
 * addresses, deleted subnets their routes; no answer holds a public address outside 127.0.0.0/8. What the emulator can't do answers EmulatorLacks, 400.
 */

import type { ServerResponse } from 'node:http'
import type { Address, Instance } from '@aws-sdk/client-ec2'
import {
  DeleteNetworkInterfaceCommand,
  DescribeAddressesCommand,
  DescribeInstancesCommand,
  DescribeRouteTablesCommand,
  DescribeTagsCommand,
  DisassociateAddressCommand,
  DisassociateRouteTableCommand,
  EC2Client,
} from '@aws-sdk/client-ec2'
import { type Answer, type Call, errorAnswer, list, type Request, readCall } from './call.ts'
import { refusal } from './dependencies.ts'
import { Faults, type Hook } from './faults.ts'
import { close, forward, listen, readRequest, send } from './http.ts'
import { type Pace, rewritten, Transitions } from './pace.ts'
import { denied, type Policy } from './policy.ts'
import { completeAnswer } from './repair-answer.ts'
import { answerXml, items, make, parseXml, text } from './xml.ts'

export interface InstanceEvent {
  readonly kind: 'run' | 'start' | 'stop' | 'terminate'
  readonly region: string
  /** As the emulator has it: private address, image, tags, root device, block devices, key name. */
  readonly instance: Instance
  /** Of the run, decoded; empty where there was none. */
  readonly userData: string
}

const eventOf: Readonly<Record<string, InstanceEvent['kind']>> = {
  RunInstances: 'run',
  StartInstances: 'start',
  StopInstances: 'stop',
  TerminateInstances: 'terminate',
}
const addressActions = new Set(['AllocateAddress', 'AssociateAddress', 'DisassociateAddress', 'ReleaseAddress', 'TerminateInstances'])

export class Front {
  readonly #emulator: string
  readonly #calls: Call[] = []
  readonly #faults = new Faults()
  readonly #transitions = new Transitions()
  readonly #tokens = new Map<string, { readonly asked: string; readonly answer: Answer }>()
  readonly #clients = new Map<string, EC2Client>()
  readonly #userData = new Map<string, string>()
  readonly #instanceListeners: ((event: InstanceEvent) => void)[] = []
  readonly #addressListeners: ((addresses: readonly Address[], region: string) => void)[] = []
  #policy: Policy | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #stop: () => Promise<void> = async () => undefined
  #endpoint = ''
  console: (instanceId: string) => string | Promise<string> = () => ''

  private constructor(emulator: string) {
    this.#emulator = emulator
  }

  static async start(emulator: string): Promise<Front> {
    const front = new Front(emulator)
    const { server, endpoint } = await listen((incoming, response) => {
      void readRequest(incoming)
        .then((request) => front.#handle(request, response))
        .catch((error: unknown) => {
          // The client broke off, or the emulator is gone.
          if (!response.headersSent && !response.destroyed) send(response, { status: 502, type: 'text/plain', body: String(error) })
        })
    })
    front.#endpoint = endpoint
    front.#stop = () => close(server)
    return front
  }

  get endpoint(): string {
    return this.#endpoint
  }
  get pace(): Pace {
    return this.#transitions.pace
  }
  calls(): readonly Call[] {
    return [...this.#calls]
  }
  writes(): readonly Call[] {
    return this.#calls.filter(({ write }) => write)
  }
  /** Forgets the calls; nothing else. */
  forget(): void {
    this.#calls.length = 0
  }
  /** Forgets calls, faults, hooks, policy, tokens and what is under way; the pace is the first one again. Listeners stay. */
  reset(): void {
    this.forget()
    this.#faults.forget()
    this.#transitions.forget()
    this.#tokens.clear()
    this.#userData.clear()
    this.#policy = undefined
    Object.assign(this.pace, { instances: 1, volumes: 1, hidden: 0 } satisfies Pace)
  }
  fail(action: string, code: string, message: string, status = 400, times = 1): void {
    this.#faults.fail(action, code, message, status, times)
  }
  throttle(action: string, times: number): void {
    this.fail(action, 'RequestLimitExceeded', 'Request limit exceeded.', 503, times)
  }
  loseAnswer(action: string, nth = 1): void {
    this.#faults.loseAnswer(action, nth)
  }
  /** Answers a function that takes the hook away. */
  hook(action: string, fn: Hook, when: 'before' | 'after' = 'before'): () => void {
    return this.#faults.watch(action, when, fn)
  }
  setPolicy(policy: Policy | undefined): void {
    this.#policy = policy
  }
  onInstance(listener: (event: InstanceEvent) => void): void {
    this.#instanceListeners.push(listener)
  }
  onAddresses(listener: (addresses: readonly Address[], region: string) => void): void {
    this.#addressListeners.push(listener)
  }
  async settle(): Promise<void> {
    await this.#inTurn(async () => {
      for (const client of this.#clients.values()) await this.#transitions.finishDeletes(client, true)
      this.#transitions.forget()
    })
  }
  async stop(): Promise<void> {
    await this.#stop()
    for (const client of this.#clients.values()) client.destroy()
  }

  /** The emulator itself, past the front. */
  client(region: string): EC2Client {
    const known = this.#clients.get(region)
    if (known !== undefined) return known
    const made = new EC2Client({ endpoint: this.#emulator, region, credentials: { accessKeyId: 'front', secretAccessKey: 'front' } })
    this.#clients.set(region, made)
    return made
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const mine = this.#turn.then(work)
    this.#turn = mine.catch(() => undefined)
    return mine
  }

  async #handle(request: Request, response: ServerResponse): Promise<void> {
    const call = readCall(request)
    this.#calls.push(call)
    const answer =
      (await this.#refusedAtTheDoor(call)) ?? (call.write ? await this.#inTurn(() => this.#write(call, request, response)) : await this.#read(call, request))
    if (answer === 'broken') return void response.destroy()
    call.status = answer.status
    call.error = errorCode(answer)
    send(response, answer)
  }

  async #refusedAtTheDoor(call: Call): Promise<Answer | undefined> {
    if (this.#policy !== undefined) {
      const lacks = await denied(this.#policy, call, (id) => this.#tagsOf(call.region, id))
      if (lacks !== undefined) {
        const why = `User: arn:aws:iam::123456789012:user/test is not authorized to perform: ${lacks.action} on resource: ${lacks.resource} because no identity-based policy allows the ${lacks.action} action`
        if (call.service === 'ec2') return errorAnswer(call, 403, 'UnauthorizedOperation', `You are not authorized to perform this operation. ${why}`)
        return errorAnswer(call, 403, call.service === 'elasticfilesystem' ? 'AccessDeniedException' : 'AccessDenied', why)
      }
    }
    return this.#faults.failureOf(call)
  }

  async #read(call: Call, request: Request): Promise<Answer> {
    if (call.action === 'GetConsoleOutput') {
      const id = call.params['InstanceId'] ?? ''
      const output = Buffer.from(await this.console(id)).toString('base64')
      const body = answerXml(call.action, make('instanceId', id), make('timestamp', new Date().toISOString()), make('output', output))
      return { status: 200, type: 'text/xml', body }
    }
    if (call.action === 'DescribeVolumes') await this.#inTurn(() => this.#transitions.finishDeletes(this.client(call.region)))
    const unknown = this.#transitions.notFound(call)
    if (unknown !== undefined) return unknown
    const { params, states } = this.#transitions.forwarded(call)
    const body = params === call.params ? request.body : new URLSearchParams(params).toString()
    const answer = await this.#perform(call, { ...request, body })
    return call.service !== 'ec2' || answer.status !== 200
      ? answer
      : rewritten(answer, (root) => {
          completeAnswer(root)
          this.#transitions.show(call, root, states)
        })
  }

  async #write(call: Call, request: Request, response: ServerResponse): Promise<Answer | 'broken'> {
    if (response.destroyed) return 'broken'
    if ((await this.#faults.ask('before', call)) === 'drop' || response.destroyed) return 'broken'
    const answer = await this.#writeOnce(call, request)
    if ((await this.#faults.ask('after', call)) === 'drop' || this.#faults.losesAnswer(call)) {
      call.status = answer.status
      call.error = errorCode(answer)
      return 'broken'
    }
    return answer
  }

  async #writeOnce(call: Call, request: Request): Promise<Answer> {
    const { ClientToken: token, ...rest } = call.params
    if (call.service !== 'ec2' || token === undefined) return this.#writeNow(call, request)
    const key = [call.region, call.action, token].join(' ')
    const asked = JSON.stringify(Object.entries(rest).sort())
    const known = this.#tokens.get(key)
    if (known === undefined) {
      const answer = await this.#writeNow(call, request)
      if (answer.status === 200) this.#tokens.set(key, { asked, answer })
      return answer
    }
    const message = 'Arguments on this idempotent request are inconsistent with arguments used in previous request(s).'
    return known.asked === asked ? known.answer : errorAnswer(call, 400, 'IdempotentParameterMismatch', message)
  }

  async #writeNow(call: Call, request: Request): Promise<Answer> {
    if (call.service !== 'ec2') return this.#perform(call, request)
    const ec2 = this.client(call.region)
    await this.#transitions.finishDeletes(ec2)
    const refused = await refusal(call, ec2, this.#transitions.isEnding)
    if (refused !== undefined) {
      this.#transitions.passOne(refused.instances)
      return refused.answer
    }
    if (call.action === 'DeleteVolume') {
      const begun = await this.#transitions.beginDelete(call, ec2)
      if (begun !== undefined) {
        call.performed = true
        return begun
      }
    }
    const before = call.action === 'TerminateInstances' ? await this.#instances(call.region, list(call.params, 'InstanceId')) : []
    const answer = await this.#perform(call, request)
    const root = answer.status === 200 ? parseXml(answer.body) : undefined
    if (root === undefined) return answer
    this.#transitions.begun(call, root)
    const kind = eventOf[call.action]
    const ids = kind === undefined ? [] : items(root, 'instancesSet').map((item) => text(item, 'instanceId'))
    if (call.action === 'RunInstances') for (const id of ids) this.#userData.set(id, Buffer.from(call.params['UserData'] ?? '', 'base64').toString('utf8'))
    if (kind === 'terminate') await this.#releaseNetwork(call.region, before)
    if (call.action === 'DeleteSubnet') await this.#forgetRoutes(call.region, call.params['SubnetId'] ?? '')
    if (kind !== undefined)
      for (const instance of kind === 'terminate' ? before : await this.#instances(call.region, ids))
        for (const listener of this.#instanceListeners)
          listener({ kind, region: call.region, instance, userData: this.#userData.get(instance.InstanceId ?? '') ?? '' })
    if (addressActions.has(call.action) && this.#addressListeners.length > 0) {
      const { Addresses = [] } = await ec2.send(new DescribeAddressesCommand({}))
      for (const listener of this.#addressListeners) listener(Addresses, call.region)
    }
    return rewritten(answer, completeAnswer)
  }

  async #perform(call: Call, request: Request): Promise<Answer> {
    const answer = await forward(this.#emulator, request)
    call.performed = true
    if (answer.status < 500 && !answer.body.startsWith('<!doctype html>')) return answer
    const reason = answer.body
      .replace(/<[^>]+>/g, ' ')
      .trim()
      .split('\n')
      .filter((line) => line.trim() !== '')
      .slice(-3)
      .join(' ')
    return errorAnswer(call, 400, 'EmulatorLacks', `${call.action}: ${reason.slice(-500)}`)
  }

  async #instances(region: string, ids: readonly string[]): Promise<Instance[]> {
    if (ids.length === 0) return []
    const found = await this.client(region).send(new DescribeInstancesCommand({ Filters: [{ Name: 'instance-id', Values: [...ids] }] }))
    return (found.Reservations ?? []).flatMap(({ Instances = [] }) => Instances)
  }

  /** EC2 lets go of both with the instance; the emulator keeps them. */
  async #releaseNetwork(region: string, instances: readonly Instance[]): Promise<void> {
    const ec2 = this.client(region)
    const ids = instances.map(({ InstanceId }) => InstanceId)
    const { Addresses = [] } = await ec2.send(new DescribeAddressesCommand({}))
    for (const { InstanceId, AssociationId } of Addresses)
      if (InstanceId !== undefined && InstanceId !== '' && ids.includes(InstanceId))
        await ec2.send(new DisassociateAddressCommand({ AssociationId })).catch(() => undefined)
    for (const { NetworkInterfaceId } of instances.flatMap(({ NetworkInterfaces = [] }) => NetworkInterfaces))
      await ec2.send(new DeleteNetworkInterfaceCommand({ NetworkInterfaceId })).catch(() => undefined)
  }

  /** EC2 ends the association with the subnet; the emulator keeps it. */
  async #forgetRoutes(region: string, subnetId: string): Promise<void> {
    const ec2 = this.client(region)
    const { RouteTables = [] } = await ec2.send(new DescribeRouteTablesCommand({ Filters: [{ Name: 'association.subnet-id', Values: [subnetId] }] }))
    for (const { SubnetId, RouteTableAssociationId: AssociationId } of RouteTables.flatMap(({ Associations = [] }) => Associations))
      if (SubnetId === subnetId) await ec2.send(new DisassociateRouteTableCommand({ AssociationId }))
  }

  async #tagsOf(region: string, id: string): Promise<Readonly<Record<string, string>>> {
    const { Tags = [] } = await this.client(region).send(new DescribeTagsCommand({ Filters: [{ Name: 'resource-id', Values: [id] }] }))
    return Object.fromEntries(Tags.map(({ Key = '', Value = '' }) => [Key, Value]))
  }
}

const errorCode = ({ status, body, headers }: Answer): string | undefined =>
  status < 400 ? undefined : (headers?.['x-amzn-errortype'] ?? /<Code>([^<]*)<\/Code>/.exec(body)?.[1] ?? String(status))
