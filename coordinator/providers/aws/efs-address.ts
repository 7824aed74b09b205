/**
 * Where the stage's NFS volumes are, as the provider left it in the stage's state after apply. A copy of what the account says, kept
 * so that phases need no credentials: build-infra writes it anew each time. No SDK here: phases import this file.
 */
import type { StageState } from '../../run/stage-state.ts'

export interface EfsAddress {
  readonly fileSystemId: string
  /** FSID.efs.REGION.amazonaws.com: within the VPC it is the address of the mount target in the asker's own zone. */
  readonly dnsName: string
}

const key = 'aws.efs'

/** undefined until build-infra made or found the file system. */
export function efsAddress(state: StageState): EfsAddress | undefined {
  const value = state.get(key)
  if (typeof value !== 'object' || value === null) return undefined
  const { fileSystemId, dnsName } = value as Readonly<Record<string, unknown>>
  return typeof fileSystemId === 'string' && typeof dnsName === 'string' ? { fileSystemId, dnsName } : undefined
}

/** Writes only where something changed. undefined: the stage has no file system (any more). */
export function rememberEfs(state: StageState, address: EfsAddress | undefined): void {
  const before = efsAddress(state)
  if (before?.fileSystemId === address?.fileSystemId && before?.dnsName === address?.dnsName) return
  state.set(key, address === undefined ? null : { fileSystemId: address.fileSystemId, dnsName: address.dnsName })
}
