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
 *   front.pace.instances / volumes / efs / hidden / unknown = N    // how many answers show what is under way, or don't find what is new (pace.ts)
 *   front.onInstance(({kind, instance, userData, region}) => …)   // run, start, stop, terminate, after it was performed
 *   front.onAddresses((addresses, region) => …)    // all elastic addresses, after a change; waited for before the call is answered
 *   front.console = (instanceId) => text           // for GetConsoleOutput
 *   await front.settle()                           // all that is under way is at its end, and all that is new is known
 *   await front.quiet()                            // all writes that came are performed or dropped
 *
 * By itself: ClientToken is honoured; writes go one at a time, and not at all when their client has gone before their
 * turn; what is in use or in a wrong state is refused (dependencies.ts, refusals.ts); terminated instances and deleted
 * subnets let go of what they held (aftermath.ts); no answer holds a public address outside 127.0.0.0/8. What the emulator
 * can't do answers EmulatorLacks, 400.
 */

import type { ServerResponse } from 'node:http'
import { setImmediate } from 'node:timers/promises'
import type { Address, Instance } from '@aws-sdk/client-ec2'
import { DescribeAddressesCommand, DescribeInstancesCommand, DescribeKeyPairsCommand, DescribeTagsCommand, EC2Client } from '@aws-sdk/client-ec2'
import { afterDeleteSubnet, afterTerminate, beforeRun } from './aftermath.ts'
import { type Answer, type Call, errorAnswer, list, type Request, readCall } from './call.ts'
import { refusal } from './dependencies.ts'
import { EfsTransitions } from './efs-pace.ts'
import { Faults, type Hook } from './faults.ts'
import { close, forward, listen, readRequest, send } from './http.ts'
import { type Pace, rewritten, Transitions, usualPace } from './pace.ts'
import { denied, type Policy } from './policy.ts'
import { stateRefusal } from './refusals.ts'
import { completeAnswer, tellWhatGoes } from './repair-answer.ts'
import { answerXml, items, make, parseXml, text } from './xml.ts'

export interface InstanceEvent {
  readonly kind: 'run' | 'start' | 'stop' | 'terminate'
  readonly region: string
  /** As the emulator has it: private address, image, tags, root device, block devices, key name. */
  readonly instance: Instance
  /** Of the run, decoded; empty where there was none. */
  readonly userData: string
  /** Of the key pair it was run with, an OpenSSH line; undefined without one. Key pairs that EC2 itself made have none here. */
  readonly publicKey: string | undefined
}

const eventOf: Readonly<Record<string, InstanceEvent['kind']>> = {
  RunInstances: 'run',
  StartInstances: 'start',
  StopInstances: 'stop',
  TerminateInstances: 'terminate',
}
const addressActions = new Set(['AllocateAddress', 'AssociateAddress', 'DisassociateAddress', 'ReleaseAddress', 'TerminateInstances'])

interface EfsDescriptions {
  readonly FileSystems?: readonly { readonly Tags?: readonly { readonly Key: string; readonly Value: string }[] }[]
  readonly MountTargets?: readonly { readonly FileSystemId: string }[]
}

export class Front {
  readonly #emulator: string
  readonly #calls: Call[] = []
  readonly #faults = new Faults()
  readonly #transitions = new Transitions()
  readonly #efs = new EfsTransitions()
  readonly #tokens = new Map<string, { readonly asked: string; readonly answer: Answer }>()
  readonly #clients = new Map<string, EC2Client>()
  readonly #userData = new Map<string, string>()
  readonly #publicKeys = new Map<string, string>()
  readonly #instanceListeners: ((event: InstanceEvent) => void)[] = []
  readonly #addressListeners: ((addresses: readonly Address[], region: string) => Promise<void> | void)[] = []
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
          // The client broke off, the emulator is gone, or the front is wrong: not to be repeated by the SDK in silence.
          if (response.headersSent || response.destroyed) return
          const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
          send(response, errorAnswer({ service: 'ec2' }, 400, 'FrontFailed', reason))
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
    this.#efs.forget()
    this.#tokens.clear()
    this.#userData.clear()
    this.#publicKeys.clear()
    this.#policy = undefined
    Object.assign(this.pace, usualPace)
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
  onAddresses(listener: (addresses: readonly Address[], region: string) => Promise<void> | void): void {
    this.#addressListeners.push(listener)
  }
  async settle(): Promise<void> {
    await this.#inTurn(async () => {
      for (const client of this.#clients.values()) await this.#transitions.finishDeletes(client, true)
      this.#transitions.forget()
      this.#efs.forget()
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

  /** All writes that came are performed or dropped, those of clients that are gone too. */
  quiet(): Promise<void> {
    return this.#inTurn(async () => undefined)
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
      const lacks = await denied(
        this.#policy,
        call,
        (id) => this.#tagsOf(call.region, id),
        (target) => this.#fileSystemOf(call.region, target),
      )
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
    if (call.service === 'elasticfilesystem') return this.#efs.shown(call, answer)
    if (call.service !== 'ec2' || answer.status !== 200) return answer
    const going = call.action === 'DescribeVolumes' ? await this.#goingWithTheirInstances(call.region) : undefined
    return rewritten(answer, (root) => {
      completeAnswer(root)
      if (going !== undefined) tellWhatGoes(root, going)
      this.#transitions.show(call, root, states)
    })
  }

  async #write(call: Call, request: Request, response: ServerResponse): Promise<Answer | 'broken'> {
    // A client that was killed while its call waited: the end of its connection is heard one turn of the event loop later.
    for (let turn = 0; turn < 2; turn++) await setImmediate()
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
    if (call.service === 'elasticfilesystem') return this.#writeEfs(call, request)
    if (call.service !== 'ec2') return this.#perform(call, request)
    const ec2 = this.client(call.region)
    await this.#transitions.finishDeletes(ec2)
    const unknown = this.#transitions.notFound(call)
    if (unknown !== undefined) return unknown
    const refused = (await stateRefusal(call, ec2, this.#transitions)) ?? (await refusal(call, ec2, this.#transitions.isEnding))
    if (refused !== undefined) {
      this.#transitions.passOne(refused.waitsFor)
      return refused.answer
    }
    if (call.action === 'DeleteVolume') {
      const begun = await this.#transitions.beginDelete(call, ec2)
      if (begun !== undefined) {
        call.performed = true
        return begun
      }
    }
    if (call.action === 'RunInstances') await beforeRun(ec2, call)
    const before = call.action === 'TerminateInstances' ? await this.#instances(call.region, list(call.params, 'InstanceId')) : []
    const answer = await this.#perform(call, request)
    const root = answer.status === 200 ? parseXml(answer.body) : undefined
    if (root === undefined) return answer
    this.#transitions.begun(call, root)
    const kind = eventOf[call.action]
    const ids = kind === undefined ? [] : items(root, 'instancesSet').map((item) => text(item, 'instanceId'))
    if (call.action === 'RunInstances') for (const id of ids) this.#userData.set(id, Buffer.from(call.params['UserData'] ?? '', 'base64').toString('utf8'))
    if (call.action === 'ImportKeyPair')
      this.#publicKeys.set(
        `${call.region} ${call.params['KeyName']}`,
        Buffer.from(call.params['PublicKeyMaterial'] ?? '', 'base64')
          .toString('utf8')
          .trim(),
      )
    if (kind === 'terminate') await afterTerminate(ec2, before, this.#transitions)
    if (call.action === 'DeleteSubnet') await afterDeleteSubnet(ec2, call.params['SubnetId'] ?? '')
    if (kind !== undefined)
      for (const instance of kind === 'terminate' ? before : await this.#instances(call.region, ids)) this.#tellOfInstance(kind, call.region, instance)
    if (addressActions.has(call.action) && this.#addressListeners.length > 0) {
      const { Addresses = [] } = await ec2.send(new DescribeAddressesCommand({}))
      for (const listener of this.#addressListeners) await listener(Addresses, call.region)
    }
    return rewritten(answer, completeAnswer)
  }

  #tellOfInstance(kind: InstanceEvent['kind'], region: string, instance: Instance): void {
    const userData = this.#userData.get(instance.InstanceId ?? '') ?? ''
    const publicKey = instance.KeyName === undefined ? undefined : this.#publicKeys.get(`${region} ${instance.KeyName}`)
    for (const listener of this.#instanceListeners) listener({ kind, region, instance, userData, publicKey })
  }

  async #writeEfs(call: Call, request: Request): Promise<Answer> {
    const refused = this.#efs.refusal(call)
    if (refused !== undefined) return refused
    const before = await this.#efs.remember(call, request, (asked) => forward(this.#emulator, asked))
    const answer = await this.#perform(call, request)
    return answer.status < 300 ? this.#efs.begun(call, answer, this.pace.efs, before) : answer
  }

  async #perform(call: Call, request: Request): Promise<Answer> {
    const answer = await forward(this.#emulator, request)
    call.performed = true
    // EC2 has this code for DescribeInstanceTypes alone.
    if (call.action === 'RunInstances' && errorCode(answer) === 'InvalidInstanceType.NotFound')
      return errorAnswer(call, 400, 'InvalidParameterValue', `Invalid value '${call.params['InstanceType']}' for InstanceType.`)
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

  /** Volumes that are deleted with the instance they are attached to; the emulator tells it of the instance alone. */
  async #goingWithTheirInstances(region: string): Promise<ReadonlySet<string>> {
    const { Reservations = [] } = await this.client(region).send(new DescribeInstancesCommand({}))
    const disks = Reservations.flatMap(({ Instances = [] }) => Instances).flatMap(({ BlockDeviceMappings = [] }) => BlockDeviceMappings)
    return new Set(disks.flatMap(({ Ebs }) => (Ebs?.DeleteOnTermination === true && Ebs.VolumeId !== undefined ? [Ebs.VolumeId] : [])))
  }

  async #instances(region: string, ids: readonly string[]): Promise<Instance[]> {
    if (ids.length === 0) return []
    const found = await this.client(region).send(new DescribeInstancesCommand({ Filters: [{ Name: 'instance-id', Values: [...ids] }] }))
    return (found.Reservations ?? []).flatMap(({ Instances = [] }) => Instances)
  }

  /** `id`: of anything, or the name of a key pair. */
  async #tagsOf(region: string, id: string): Promise<Readonly<Record<string, string>>> {
    const tags = async (): Promise<readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[]> => {
      if (id.startsWith('fs-')) return (await this.#describeEfs(region, `file-systems?FileSystemId=${id}`)).FileSystems?.[0]?.Tags ?? []
      if (/^[a-z]+-[0-9a-f]{8,17}$/.test(id))
        return (await this.client(region).send(new DescribeTagsCommand({ Filters: [{ Name: 'resource-id', Values: [id] }] }))).Tags ?? []
      const { KeyPairs } = await this.client(region).send(new DescribeKeyPairsCommand({ Filters: [{ Name: 'key-name', Values: [id] }] }))
      return KeyPairs?.[0]?.Tags ?? []
    }
    return Object.fromEntries((await tags()).map(({ Key = '', Value = '' }) => [Key, Value]))
  }

  async #fileSystemOf(region: string, mountTarget: string): Promise<string | undefined> {
    return (await this.#describeEfs(region, `mount-targets?MountTargetId=${mountTarget}`)).MountTargets?.[0]?.FileSystemId
  }

  /** Past the front. */
  async #describeEfs(region: string, path: string): Promise<EfsDescriptions> {
    const authorization = `AWS4-HMAC-SHA256 Credential=front/20200101/${region}/elasticfilesystem/aws4_request, SignedHeaders=host, Signature=0`
    const { status, body } = await forward(this.#emulator, { method: 'GET', path: `/2015-02-01/${path}`, headers: { authorization }, body: '' })
    return status === 200 ? (JSON.parse(body) as EfsDescriptions) : {}
  }
}

const errorCode = ({ status, body, headers }: Answer): string | undefined =>
  status < 400 ? undefined : (headers?.['x-amzn-errortype'] ?? /<Code>([^<]*)<\/Code>/.exec(body)?.[1] ?? String(status))
