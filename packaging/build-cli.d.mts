/** Makes hivecoord's bundle where its sources changed; answers its entry. */
export function buildCli(): Promise<string>
/** The files of the bundle for the folder `outdir`, not written; main.mjs is the entry. `licences`: of the modules in it, one text. */
export function bundle(
  outdir: string,
): Promise<{ readonly outputFiles: readonly { readonly path: string; readonly contents: Uint8Array }[]; readonly licences: string }>
/** The same as one CommonJS file, written to `outfile`. */
export function bundleScript(outfile: string): Promise<void>
