export type PackageKind = 'rpm' | 'deb'

export interface PackageOptions {
  /** `fast` builds in seconds and is larger: for hosts of this machine and tests. `small`: for releases. Default fast. */
  readonly payload?: 'fast' | 'small'
  /** The version that the package and the agent in it tell. Default: package.json's. */
  readonly version?: string
  /** Default 1. */
  readonly release?: string
}

export interface BuiltPackage {
  readonly kind: PackageKind
  /** build/dist/FILENAME; build/dist/fast/FILENAME where it is a fast one. */
  readonly path: string
  readonly fileName: string
  readonly version: string
  /** Of the package, hex. */
  readonly sha256: string
  /** Of the executable in it, hex. */
  readonly binarySha256: string
  /** Bytes. */
  readonly size: number
}

/** Makes a package of the agent where its inputs changed; else it comes from the cache in some milliseconds. Throws an Error that says which tool is missing. */
export function buildPackage(kind: PackageKind, options?: PackageOptions): Promise<BuiltPackage>
