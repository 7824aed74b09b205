/** The middle value; of an even number of them, the upper of the two. NaN where there is none. */
export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN
