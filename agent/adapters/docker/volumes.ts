/** Docker volumes of this host. */
import type { EnsureVolume } from '#gen/hive/v1/steps_docker.ts'
import { dockerGet, dockerPost, orUndefined } from '../docker.ts'
import type { Volume } from './api-types.ts'
import { withoutPasswords } from './passwords.ts'

export const inspectVolume = (name: string, signal: AbortSignal): Promise<Volume | undefined> =>
  orUndefined(dockerGet<Volume>(`/volumes/${encodeURIComponent(name)}`, { signal }))

/** Answers the old volume, silently, when one of this name exists: look first. */
export const createVolume = (spec: EnsureVolume, signal: AbortSignal): Promise<unknown> =>
  dockerPost('/volumes/create', { body: { Name: spec.name, Driver: spec.driver === '' ? 'local' : spec.driver, DriverOpts: spec.options }, signal })

/** Order and spaces of mount options (`o`) mean nothing. */
export const sameOptions = (left: Readonly<Record<string, string>>, right: Readonly<Record<string, string>>): boolean =>
  normalised(left).join('\n') === normalised(right).join('\n')

/** For people: a password among mount options is left out. */
export const describeOptions = (options: Readonly<Record<string, string>>): string => normalised(options).map(withoutPasswords).join(' ')

const normalised = (options: Readonly<Record<string, string>>): string[] =>
  Object.entries(options)
    .filter(([, value]) => value !== '')
    .map(
      ([option, value]) =>
        `${option}=${
          option === 'o'
            ? value
                .split(',')
                .map((part) => part.trim())
                .sort()
                .join(',')
            : value
        }`,
    )
    .sort()
