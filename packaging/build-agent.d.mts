/** Makes the agent's executable where its inputs changed. */
export function buildAgent(): Promise<{ readonly path: string; readonly sha256: string }>
