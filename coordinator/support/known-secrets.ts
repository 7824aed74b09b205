/** All secrets of a stage that this machine knows by value: what its inventory has, and what is in its context folder. */
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join, relative } from 'node:path'
import { mirroredVolumesOf } from '../inventory/mirrored-volumes.ts'
import { isSecretKey } from '../inventory/render-inventory.ts'
import type { Site } from '../inventory/site.ts'
import { secretsMade } from '../phases/build-volumes/shared-secret.ts'
import type { StageState } from '../run/stage-state.ts'

/** Bytes: what is kept as a secret is small. */
const largest = 64 * 1024

export function knownSecrets(site: Site, state: Pick<StageState, 'get'>, environment: NodeJS.ProcessEnv = process.env): readonly string[] {
  const ofServices = site.services.flatMap(({ secrets, environment: variables, labels, logging }) => [
    ...secrets.map(({ content }) => content),
    ...[variables, labels, logging?.options ?? {}].flatMap((values) => textsOf(values, site)),
  ])
  const { zabbix, backups, registry } = site
  return [
    ...site.secretTexts(),
    registry.password,
    zabbix.admin.password,
    zabbix.databasePassword,
    ...textsOf({ ...zabbix }, site),
    ...site.externalRegistries.map(({ password }) => password),
    ...(backups.restic === undefined ? [] : [backups.restic.password, ...Object.values(backups.restic.environment)]),
    ...site.hosts.flatMap(({ settings }) => settings.rootPassword ?? []),
    ...textsOf(site.attributes, site),
    ...ofServices,
    ...secretsMade(
      mirroredVolumesOf(site).map(({ name }) => name),
      state,
    ),
    ...ofContext(site.contextDir),
    ...Object.entries(environment).flatMap(([name, value]) => (value !== undefined && isSecretKey(name) ? [value] : [])),
  ].filter((secret) => secret.trim() !== '')
}

/** Texts under keys that name a secret, and those made from one, however deep. */
function textsOf(values: object, site: Pick<Site, 'isSecret'> | undefined, within = false): readonly string[] {
  return Object.entries(values).flatMap(([key, value]: [string, unknown]) => {
    const secret = within || isSecretKey(key)
    if (typeof value === 'string') return secret || site?.isSecret(value) === true ? [value] : []
    return typeof value === 'object' && value !== null ? textsOf(value, site, secret) : []
  })
}

const secretFile = /passw|psk|secret|token|passphrase|(?:^|[_.-])key|\.key$|^id_/i

/** Private keys by what they are, other files by their names, and what JSON and YAML have under such names. */
function ofContext(contextDir: string): readonly string[] {
  return filesBelow(contextDir).flatMap((path) => {
    const name = relative(contextDir, path)
    if (name.startsWith('runs/')) return []
    const text = readFileSync(path, 'utf8')
    if (/PRIVATE KEY-----/.test(text)) return [text, ...text.split('\n').filter((line) => line.length >= 40 && !line.startsWith('-----'))]
    if (name.endsWith('.json')) return ofJson(text)
    return secretFile.test(name) && !name.endsWith('.pub') ? [text, ...text.split('\n')] : []
  })
}

function ofJson(text: string): readonly string[] {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? textsOf(value, undefined) : []
  } catch {
    return []
  }
}

function filesBelow(folder: string): readonly string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .filter((path) => statSync(path).size <= largest)
  } catch {
    return []
  }
}
