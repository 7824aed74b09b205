/** Names of locales as tools and files spell them. Pure. */

/** ja_JP.utf8, ja_JP.UTF-8 → ja_JP.utf8: as `locale -a` prints them. */
export function normalLocale(locale: string): string {
  const match = /^([^.@]+)(?:\.([^@]+))?(@.+)?$/.exec(locale)
  if (match === null) return locale
  const codeset = match[2]?.toLowerCase().replaceAll('-', '')
  return `${match[1]}${codeset === undefined ? '' : `.${codeset}`}${match[3] ?? ''}`
}

/** The line of /etc/locale.gen: ja_JP.utf8 → "ja_JP.UTF-8 UTF-8", ja_JP.eucjp → "ja_JP.EUC-JP EUC-JP". */
export function localeGenLine(locale: string): string {
  const match = /^([^.@]+)(?:\.([^@]+))?(@.+)?$/.exec(locale)
  const codeset = charset(match?.[2] ?? 'UTF-8')
  return `${match?.[1] ?? locale}.${codeset}${match?.[3] ?? ''} ${codeset}`
}

function charset(codeset: string): string {
  const plain = codeset.toLowerCase().replaceAll('-', '')
  if (plain === 'utf8') return 'UTF-8'
  if (plain === 'eucjp') return 'EUC-JP'
  if (plain === 'euckr') return 'EUC-KR'
  const iso = /^iso8859(\d+)$/.exec(plain)
  return iso === null ? codeset.toUpperCase() : `ISO-8859-${iso[1]}`
}
