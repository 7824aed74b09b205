/** Where the agent has its certificate, for steps. */
let folder = '/etc/hive-agent/pki'

export const pkiFolder = (): string => folder

/** Called at start with the configuration's pkiDir. */
export function usePkiFolder(path: string): void {
  folder = path
}
