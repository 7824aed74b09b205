export interface Released {
  readonly path: string
  /** Bytes. */
  readonly size: number
  readonly sha256: string
}

/** Makes everything that is released, in build/dist (with payload `fast`: build/dist/fast): RPM, .deb, hivecoord-VERSION.tgz for npm, hivecoord-VERSION-linux-x64. In this order. */
export function release(options?: { readonly payload?: 'fast' | 'small' }): Promise<readonly [Released, Released, Released, Released]>
