/** Numbers that look random and are the same for the same seed. */

/** From 0 up to, not including, 1. */
export type Random = () => number

/** mulberry32, a well-known generator of 32 bits. `seed`: an integer. */
export function randomOf(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A whole number from `least` to `most`. */
export const between = (random: Random, least: number, most: number): number => least + Math.floor(random() * (most - least + 1))

/** Throws a RangeError for an empty list. */
export function pick<T>(random: Random, list: readonly T[]): T {
  const found = list[Math.floor(random() * list.length)]
  if (found === undefined) throw new RangeError('there is nothing to pick from')
  return found
}

/** The same things in another order. */
export function shuffled<T>(random: Random, list: readonly T[]): readonly T[] {
  const rest = [...list]
  return list.map(() => {
    const at = Math.floor(random() * rest.length)
    return rest.splice(at, 1)[0] as T
  })
}
