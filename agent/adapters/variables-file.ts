/** Files of NAME=VALUE lines. Pure. */

/** A file of NAME=VALUE lines with this variable set; the other lines stay. */
export function setVariable(text: string, name: string, value: string): string {
  const line = `${name}=${value}`
  const lines = text.split('\n').filter((other, index, all) => !(other === '' && index === all.length - 1))
  const at = lines.findIndex((other) => other.startsWith(`${name}=`))
  if (at === -1) return `${[...lines, line].join('\n')}\n`
  return `${lines
    .filter((other, index) => index === at || !other.startsWith(`${name}=`))
    .map((other) => (other.startsWith(`${name}=`) ? line : other))
    .join('\n')}\n`
}
