/** Makes hivecoord's bundle where its sources changed; answers its entry. */
export function buildCli(): Promise<string>
