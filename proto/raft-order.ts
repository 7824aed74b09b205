/** How far a member of raft has got. Pure. */

export interface RaftEnd {
  readonly term: bigint
  readonly index: bigint
}

/** Raft's own order: the later term, then the longer log. */
export const isNewer = (one: RaftEnd, other: RaftEnd): boolean => one.term > other.term || (one.term === other.term && one.index > other.index)
