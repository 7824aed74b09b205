/** What is wrong with a POSIX extended regular expression as rsyslog takes it; undefined when nothing is. */
export const patternMistake = (pattern: string): string | undefined => foreignPart(pattern) ?? engineMistake(pattern)

/** What other engines have and rsyslog's refuses, or, worse, takes for something else: then it would never match. */
function foreignPart(pattern: string): string | undefined {
  const outside = withoutBrackets(pattern)
  const group = /(?<!\\)(?:\\\\)*(\(\?[:=!<]?)/.exec(outside)?.[1]
  if (group !== undefined) return `${group} is not known to POSIX expressions`
  const letter = /(?<!\\)(?:\\\\)*\\([dDhHtnrvfx])/.exec(outside)?.[1]
  const instead: Readonly<Record<string, string>> = { d: '[0-9]', D: '[^0-9]', h: '[[:blank:]]', t: '[[:blank:]]', x: 'the character itself' }
  if (letter !== undefined)
    return `\\${letter} means the letter ${letter} in POSIX expressions${instead[letter] === undefined ? '' : `; write ${instead[letter]}`}`
  return undefined
}

/** A backslash is nothing special inside of brackets. */
const withoutBrackets = (pattern: string): string => pattern.replace(/((?:^|[^\\])(?:\\\\)*)\[\^?\]?(?:\[[:.=][^\]]*[:.=]\]|[^\]])*\]/g, '$1[a]')

function engineMistake(pattern: string): string | undefined {
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
