/** Values in rsyslog's language. */

/** A string that means exactly these characters, between single quotes: `$` and `%` are nothing special there. */
export const quoted = (text: string): string => `'${text.replace(/[\\']/g, '\\$&').replace(/\n/g, '\\n').replace(/\r/g, '\\r').replace(/\t/g, '\\t')}'`

/** A list for a parameter: ["a", "b"]. */
export const list = (names: readonly string[]): string => `[${names.map((name) => `"${name}"`).join(', ')}]`

/** For a POSIX extended regular expression that means these characters. */
export const escapePattern = (text: string): string => text.replace(/[\\^$.[\]|()*+?{}]/g, '\\$&')
