/** How often something may be done: a number of times at once, and then one more each so many milliseconds. */

export interface Bucket {
  readonly left: number
  /** When the last token came back. */
  readonly filled: number
}

export interface BucketLimit {
  readonly most: number
  /** Milliseconds for one token to come back. */
  readonly every: number
}

/** The bucket as it is `now`. A clock that was set back gives nothing and takes nothing. */
export function refilled(bucket: Bucket | undefined, { most, every }: BucketLimit, now: number): Bucket {
  if (bucket === undefined) return { left: most, filled: now }
  if (now < bucket.filled) return { ...bucket, filled: now }
  const back = Math.floor((now - bucket.filled) / every)
  const left = Math.min(most, bucket.left + back)
  return { left, filled: left === most ? now : bucket.filled + back * every }
}

/** Undefined where there is none to take. */
export const taken = (bucket: Bucket): Bucket | undefined => (bucket.left < 1 ? undefined : { ...bucket, left: bucket.left - 1 })
