/** Names of backup files: backup-NAME-YYYYmmddHHMMSS.EXT by the host's clock, and the link backup-NAME-latest.EXT. Pure. */

/** Where manifests are: apart, so that whoever takes backup-NAME-* finds dumps only. */
export const manifestFolder = 'manifest'

const two = (number: number): string => String(number).padStart(2, '0')

export const stampOf = (at: Date): string =>
  `${at.getFullYear()}${two(at.getMonth() + 1)}${two(at.getDate())}${two(at.getHours())}${two(at.getMinutes())}${two(at.getSeconds())}`

export const fileName = (name: string, stamp: string, ext: string): string => `backup-${name}-${stamp}.${ext}`
export const latestName = (name: string, ext: string): string => `backup-${name}-latest.${ext}`
export const manifestName = (file: string): string => `${file}.json`
/** Hidden, so that nobody takes half a dump for a dump. */
export const partName = (file: string): string => `.${file}.part`

const stamped = /^backup-(.+)-(\d{14})\.(.+)$/
const part = /^\.backup-.+\.part$/

/** Whether the file is one of this name. Of web and web-logs each has its own. */
export function isFileOf(name: string, ext: string, file: string): boolean {
  const [, ofName, , ofExt] = stamped.exec(file) ?? []
  return ofName === name && ofExt === ext
}

export const isPart = (file: string): boolean => part.test(file)

/** The moment in a file's name; undefined where there is none. */
export function stampIn(file: string): Date | undefined {
  const stamp = stamped.exec(file)?.[2]
  if (stamp === undefined) return undefined
  const [year, month, day, hour, minute, second] = [0, 4, 6, 8, 10, 12].map((from, index) => Number(stamp.slice(from, index === 0 ? 4 : from + 2)))
  return new Date(year ?? 0, (month ?? 1) - 1, day, hour, minute, second)
}
