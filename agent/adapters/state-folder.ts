/** The agent's memory on disk, for adapters: what must be found again after a restart. */
let folder = '/var/lib/hive-agent'

export const stateFolder = (): string => folder

/** Called at start with the configuration's stateDir. */
export function useStateFolder(path: string): void {
  folder = path
}
