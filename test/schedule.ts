/** Which files of tests run beside one another. Pure. */

export interface Job {
  readonly suite: string
  /** Below test/, without `.test.ts`; the suite's own name where its files go together. */
  readonly name: string
  /** It takes the whole machine: nothing runs beside it but what gives way. */
  readonly alone?: boolean
  /** It gets what others leave of the processors, and comes to the same end however late. */
  readonly givesWay?: boolean
}

export interface Machine {
  readonly processors: number
  /** The part of the processors' time that nobody used lately, 0 to 1. */
  readonly idle: number
  /** Bytes that programs may still take. */
  readonly freeMemory: number
  /** Milliseconds since a job of a site was started. */
  readonly sinceSite: number
}

/** Its files make sites of real hosts, and mostly wait for what swarm and the hosts notice by time. Those of other suites keep a processor busy. */
const sites = 'lab'
/** So many sites stand beside one another wherever the lab runs. */
const fewestSites = 2
/** Bytes of memory that four hosts with their services take, and as much again. */
const memoryOfSite = 3 * 1024 ** 3
/** A site takes all processors while it is deployed first: the next one begins when that has shown in `idle`. */
const pauseBetweenSites = 20_000

/**
 * The jobs that begin now. One that is alone begins when it is the first and nothing runs; those that give way come beside it, one after the other.
 * Of those that keep a processor busy one goes after the other; sites come beside them, more of them where processors have nothing to do.
 */
export function startable(waiting: readonly Job[], running: readonly Job[], machine: Machine): readonly Job[] {
  const [first] = waiting
  if (running.some(({ alone }) => alone === true)) return running.length > 1 ? [] : waiting.filter(({ givesWay }) => givesWay === true).slice(0, 1)
  if (first?.alone === true) return running.length === 0 ? [first] : []
  const isSite = ({ suite }: Job): boolean => suite === sites
  const busy = running.some((job) => !isSite(job)) ? undefined : waiting.find((job) => !isSite(job) && job.alone !== true)
  const standing = running.filter(isSite).length
  const site = maySiteStart(standing, machine) ? waiting.find(isSite) : undefined
  return [busy, site].filter((job) => job !== undefined)
}

function maySiteStart(standing: number, { processors, idle, freeMemory, sinceSite }: Machine): boolean {
  if (standing < fewestSites) return true
  return standing < processors && idle > 0.3 && freeMemory > memoryOfSite && sinceSite > pauseBetweenSites
}

/** The same jobs, those named in `first` before the others, in its order. */
export function inOrder(jobs: readonly Job[], first: readonly string[]): readonly Job[] {
  const place = ({ name }: Job): number => (first.includes(name) ? first.indexOf(name) : first.length)
  return jobs.toSorted((a, b) => place(a) - place(b))
}

/** The part of the processors' time that was idle between two readings of `os.cpus()`. */
export function idleBetween(before: readonly CpuTimes[], after: readonly CpuTimes[]): number {
  const sum = (cpus: readonly CpuTimes[], kinds: readonly (keyof CpuTimes)[]): number =>
    cpus.reduce((all, cpu) => all + kinds.reduce((n, kind) => n + cpu[kind], 0), 0)
  const kinds = ['user', 'nice', 'sys', 'idle', 'irq'] as const
  const passed = sum(after, kinds) - sum(before, kinds)
  return passed <= 0 ? 0 : (sum(after, ['idle']) - sum(before, ['idle'])) / passed
}

/** As `os.cpus()` has them for each processor, in milliseconds. */
export interface CpuTimes {
  readonly user: number
  readonly nice: number
  readonly sys: number
  readonly idle: number
  readonly irq: number
}
