/** Makes the agent's executable where its inputs changed. `version`: what it tells instead of package.json's. */
export function buildAgent(options?: { readonly version?: string }): Promise<{ readonly path: string; readonly sha256: string }>
/** Licences of the modules in it, beside Node.js's: one text. */
export function agentLicences(): Promise<string>
