/** Gives memory back when the agent has nothing to do: V8 keeps what work made it take as long as nothing asks for memory. */

/** Milliseconds between two looks. */
const every = 5_000
/** Milliseconds of processor time between two looks below which the agent rests, and since the last collection above which one is worth it. */
const idle = 50
const worked = 200

/** Until the process ends. A collection takes some ten milliseconds. Nothing where the process was started without --expose-gc. */
export function collectAtRest(): void {
  const collect = globalThis.gc
  if (collect === undefined) return
  const spent = (): number => {
    const { user, system } = process.cpuUsage()
    return (user + system) / 1000
  }
  let before = spent()
  let collected = 0
  setInterval(() => {
    const now = spent()
    if (now - before < idle && now - collected > worked) {
      void collect()
      collected = spent()
    }
    before = now
  }, every).unref()
}
