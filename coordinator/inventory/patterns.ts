/** What is wrong with a POSIX extended regular expression as rsyslog takes it; undefined when nothing is. */
export const patternMistake = (pattern: string): string | undefined => {
  // The POSIX classes have no counterpart in the engine that checks the expression.
  const portable = pattern.replace(/\[\[:\^?(?:alnum|alpha|blank|cntrl|digit|graph|lower|print|punct|space|upper|xdigit):\]\]?/g, (found) =>
    found.endsWith(']]') ? '[a]' : '[a',
  )
  try {
    new RegExp(portable)
    return undefined
  } catch (thrown) {
    return thrown instanceof Error ? thrown.message.replace(/^Invalid regular expression: /, '') : String(thrown)
  }
}
