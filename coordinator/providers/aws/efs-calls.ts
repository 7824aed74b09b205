/** The calls to EFS that this provider makes, each with the answers that are no errors. */
import {
  CreateFileSystemCommand,
  CreateMountTargetCommand,
  DeleteFileSystemCommand,
  DeleteMountTargetCommand,
  DescribeFileSystemsCommand,
  DescribeMountTargetSecurityGroupsCommand,
  type EFSClient,
  ModifyMountTargetSecurityGroupsCommand,
  type MountTargetDescription,
  paginateDescribeFileSystems,
  paginateDescribeMountTargets,
  TagResourceCommand,
} from '@aws-sdk/client-efs'
import type { Emit } from '../../events.ts'
import { creationToken, type EfsCandidate, type EfsIdentity, type EfsTarget, type EfsWant, wantedTags } from './efs-plan.ts'
import { type Clock, realClock } from './efs-wait.ts'
import { tagList, tagRecord } from './tags.ts'

/** Sends a call; turns what it throws into an error that names the call's IAM action and the resource. */
export type EfsCall = <T>(about: { readonly action: string; readonly resource: string }, send: () => Promise<T>) => Promise<T>

export interface EfsContext {
  readonly signal: AbortSignal
  readonly emit: Emit
  /** Default: the SDK's errors as they are. */
  readonly call?: EfsCall | undefined
  readonly clock?: Clock | undefined
}

export interface Listed extends EfsCandidate {
  readonly lifeCycle: string
  readonly encrypted: boolean
  readonly kmsKeyId: string | undefined
}

/** Turns the SDK's errors of these names into an answer. */
const unless =
  <T>(names: readonly string[], answer: T) =>
  (error: unknown): T => {
    if (error instanceof Error && names.includes(error.name)) return answer
    throw error
  }

async function collect<P, T>(pages: AsyncIterable<P>, items: (page: P) => readonly T[] | undefined): Promise<readonly T[]> {
  const all: T[] = []
  for await (const page of pages) all.push(...(items(page) ?? []))
  return all
}

export class EfsCalls {
  readonly #client: EFSClient
  readonly #call: EfsCall
  readonly #options: { readonly abortSignal: AbortSignal }
  readonly signal: AbortSignal
  readonly clock: Clock

  constructor(client: EFSClient, { signal, call = (_about, send) => send(), clock = realClock }: Omit<EfsContext, 'emit'>) {
    this.#client = client
    this.#call = call
    this.#options = { abortSignal: signal }
    this.signal = signal
    this.clock = clock
  }

  region(): Promise<string> {
    return this.#client.config.region()
  }

  /** All of the account in this region: EFS cannot look by tag. */
  async fileSystems(resource: string): Promise<readonly Listed[]> {
    const found = await this.#call({ action: 'elasticfilesystem:DescribeFileSystems', resource }, () =>
      collect(paginateDescribeFileSystems({ client: this.#client, pageSize: 100 }, {}, this.#options), ({ FileSystems }) => FileSystems),
    )
    return found.map((one) => ({
      fileSystemId: one.FileSystemId ?? '',
      creationToken: one.CreationToken ?? '',
      tags: tagRecord(one.Tags),
      lifeCycle: one.LifeCycleState ?? '',
      encrypted: one.Encrypted ?? false,
      kmsKeyId: one.KmsKeyId,
    }))
  }

  /** undefined: it is gone. */
  fileSystemState(FileSystemId: string): Promise<string | undefined> {
    return this.#call({ action: 'elasticfilesystem:DescribeFileSystems', resource: FileSystemId }, () =>
      this.#client
        .send(new DescribeFileSystemsCommand({ FileSystemId }), this.#options)
        .then(({ FileSystems }) => FileSystems?.[0]?.LifeCycleState, unless(['FileSystemNotFound'], undefined)),
    )
  }

  /** Its id; undefined where one with this token exists already. */
  createFileSystem(want: EfsWant): Promise<string | undefined> {
    const { encrypted, kmsKeyId } = want
    return this.#call({ action: 'elasticfilesystem:CreateFileSystem', resource: want.name }, () =>
      this.#client
        .send(
          new CreateFileSystemCommand({
            CreationToken: creationToken(want),
            PerformanceMode: 'generalPurpose',
            Encrypted: encrypted,
            ...(encrypted && kmsKeyId !== undefined ? { KmsKeyId: kmsKeyId } : {}),
            Tags: tagList(wantedTags(want)),
          }),
          this.#options,
        )
        .then(({ FileSystemId }) => FileSystemId, unless(['FileSystemAlreadyExists'], undefined)),
    )
  }

  async tag(ResourceId: string, tags: Readonly<Record<string, string>>): Promise<void> {
    await this.#call({ action: 'elasticfilesystem:TagResource', resource: ResourceId }, () =>
      this.#client.send(new TagResourceCommand({ ResourceId, Tags: tagList(tags) }), this.#options),
    )
  }

  /** False: its mount targets are not all gone yet. */
  deleteFileSystem(FileSystemId: string): Promise<boolean> {
    return this.#call({ action: 'elasticfilesystem:DeleteFileSystem', resource: FileSystemId }, () =>
      this.#client
        .send(new DeleteFileSystemCommand({ FileSystemId }), this.#options)
        .then(() => true, unless(['FileSystemNotFound'], true))
        .catch(unless(['FileSystemInUse'], false)),
    )
  }

  /** Without their security groups. None where the file system is gone. */
  async mountTargets(FileSystemId: string, subnets: EfsIdentity['subnets']): Promise<readonly Omit<EfsTarget, 'securityGroups'>[]> {
    const found = await this.#call({ action: 'elasticfilesystem:DescribeMountTargets', resource: FileSystemId }, () =>
      collect(paginateDescribeMountTargets({ client: this.#client, pageSize: 100 }, { FileSystemId }, this.#options), ({ MountTargets }) => MountTargets).catch(
        unless<readonly MountTargetDescription[]>(['FileSystemNotFound'], []),
      ),
    )
    return found.map(({ MountTargetId = '', SubnetId = '', AvailabilityZoneName, LifeCycleState = '' }) => ({
      id: MountTargetId,
      subnetId: SubnetId,
      zone: AvailabilityZoneName ?? subnets.find(({ id }) => id === SubnetId)?.zone ?? '',
      lifeCycle: LifeCycleState,
    }))
  }

  /** None where the mount target is being made or deleted: EFS does not tell then. */
  groupsOf(MountTargetId: string): Promise<readonly string[]> {
    return this.#call({ action: 'elasticfilesystem:DescribeMountTargetSecurityGroups', resource: MountTargetId }, () =>
      this.#client
        .send(new DescribeMountTargetSecurityGroupsCommand({ MountTargetId }), this.#options)
        .then(({ SecurityGroups }) => SecurityGroups ?? [], unless<readonly string[]>(['IncorrectMountTargetState', 'MountTargetNotFound'], [])),
    )
  }

  /** False: not now, because the zone has one (being deleted, or made by an answer that got lost). */
  createMountTarget(FileSystemId: string, subnet: { readonly name: string; readonly id: string }, group: string): Promise<boolean> {
    return this.#call({ action: 'elasticfilesystem:CreateMountTarget', resource: `subnet ${subnet.name}` }, () =>
      this.#client
        .send(new CreateMountTargetCommand({ FileSystemId, SubnetId: subnet.id, SecurityGroups: [group] }), this.#options)
        .then(() => true, unless(['MountTargetConflict', 'IncorrectFileSystemLifeCycleState'], false)),
    )
  }

  /** False: not now, it is being made. */
  setGroups(MountTargetId: string, groups: readonly string[]): Promise<boolean> {
    return this.#call({ action: 'elasticfilesystem:ModifyMountTargetSecurityGroups', resource: MountTargetId }, () =>
      this.#client
        .send(new ModifyMountTargetSecurityGroupsCommand({ MountTargetId, SecurityGroups: [...groups] }), this.#options)
        .then(() => true, unless(['IncorrectMountTargetState'], false)),
    )
  }

  async deleteMountTarget(MountTargetId: string): Promise<void> {
    await this.#call({ action: 'elasticfilesystem:DeleteMountTarget', resource: MountTargetId }, () =>
      this.#client
        .send(new DeleteMountTargetCommand({ MountTargetId }), this.#options)
        .then(() => undefined, unless(['MountTargetNotFound', 'IncorrectMountTargetState'], undefined)),
    )
  }
}
