/**
 * What a stage must remember beside the inventory, in the stage's context folder: pinned image digests, content hashes
 * of archives. Plain JSON, written atomically. Allocations (device ids, ports) are the inventory's own.
 */
export interface StageState {
  get(key: string): unknown
  /** Written to disk before it returns. */
  set(key: string, value: unknown): void
}
