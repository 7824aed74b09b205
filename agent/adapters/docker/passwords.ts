/** Settings as people may see them. */

const secretSetting = /((?:pass(?:word|wd)?|credentials?|secret|token)["']?=)[^,\s"']+/gi

/** A text of NAME=VALUE settings in which values of passwords and their like are left out. */
export const withoutPasswords = (text: string): string => text.replace(secretSetting, '$1…')

/** The same for a map of settings, whose values may hold settings of their own (mount options). */
export const optionsWithoutPasswords = (options: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(options).map(([name, value]) => [name, withoutPasswords(`${name}=${value}`).slice(name.length + 1)]))
