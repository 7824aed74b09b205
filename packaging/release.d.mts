export interface Released {
  readonly path: string
  /** Bytes. */
  readonly size: number
  readonly sha256: string
}

export interface ReleaseOptions {
  readonly payload?: 'fast' | 'small'
  /** hivecoord's tarball and executable are taken from build/dist where nothing that is in them changed since they were made. Default false. */
  readonly reuse?: boolean
}

/** Makes everything that is released, in build/dist (with payload `fast`: build/dist/fast): RPM, .deb, hivecoord-VERSION.tgz for npm, hivecoord-VERSION-linux-x64. In this order. */
export function release(options?: ReleaseOptions): Promise<readonly [Released, Released, Released, Released]>
