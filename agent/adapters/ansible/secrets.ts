/** Which values of an inventory must not come out of a play's output again. Pure. */

const secretName = /(pass(word|wd|phrase)?|secret|token|credentials?|(private|api|access|ca)_?key)$/i
/** Shorter ones are words that stand in output for other reasons. */
const shortest = 8

/** Texts below names that tell of a secret, at any depth; templates and file names are none. */
export function secretValues(variables: unknown): string[] {
  const found = new Set<string>()
  const look = (value: unknown, secret: boolean): void => {
    if (typeof value === 'string') {
      if (secret && value.length >= shortest && !value.includes('{{') && !value.startsWith('/')) found.add(value)
    } else if (Array.isArray(value)) for (const item of value) look(item, secret)
    else if (typeof value === 'object' && value !== null) for (const [name, item] of Object.entries(value)) look(item, secretName.test(name))
  }
  look(variables, false)
  return [...found]
}
