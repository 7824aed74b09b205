import { describe, isMapping, type Mapping } from './mapping.ts'
import type { Findings } from './problems.ts'
import { stageNames } from './site.ts'
import { isStageName } from './stages.ts'
import { didYouMean } from './suggest.ts'
import { joined, keyAt, startOf, valueAt } from './yaml-source.ts'

export type ImageSource = { readonly kind: 'reference'; readonly reference: string } | { readonly kind: 'built'; readonly source: Mapping }

export const imageAttributes = [
  'from',
  'roles',
  'env',
  'stop_signal',
  'user',
  'working_dir',
  'standalone',
  'entrypoint',
  'command',
  'privileged',
  'expose',
  'pull_on',
  'pull_from',
] as const
export type ImageAttribute = (typeof imageAttributes)[number]

/** `image` of a service: a reference to pull, or what it is built from. */
export const readImage = (service: Mapping, servicePath: string, findings: Findings): ImageSource | undefined => {
  const image = service['image']
  const path = joined(servicePath, 'image')
  if (image === undefined || image === null) return undefined
  if (typeof image === 'string') return { kind: 'reference', reference: image }
  if (!isMapping(image)) {
    findings.problem(
      valueAt(service, 'image'),
      path,
      `must be a tag or a mapping, but is ${describe(image)}`,
      'write image: name:tag, or image: {from: …, roles: […]}',
    )
    return undefined
  }
  for (const key of Object.keys(image)) {
    if (!imageAttributes.some((attribute) => attribute === key)) {
      findings.problem(keyAt(image, key), joined(path, key), `unknown image attribute '${key}'`, didYouMean(key, imageAttributes))
    }
  }
  if (image['from'] === undefined || image['from'] === null)
    findings.problem(startOf(image), path, "the key 'from' is missing", 'add from: the base image, as debian:12')
  checkPull(image, path, findings)
  return { kind: 'built', source: image }
}

const checkPull = (image: Mapping, path: string, findings: Findings): void => {
  const pullOn = image['pull_on']
  if (image['pull_from'] !== undefined && pullOn === undefined) {
    findings.problem(
      keyAt(image, 'pull_from'),
      `${path}.pull_from`,
      "'pull_from' has no effect without 'pull_on'",
      'add pull_on: the list of stages that pull instead of building',
    )
  }
  if (pullOn === undefined || pullOn === null) return
  if (image['pull_from'] === undefined) {
    findings.problem(keyAt(image, 'pull_on'), `${path}.pull_on`, "'pull_on' needs 'pull_from'", 'add pull_from: the tag that is pulled on these stages')
  }
  const list: readonly unknown[] = Array.isArray(pullOn) ? pullOn : [pullOn]
  list.forEach((item, index) => {
    if (isStageName(item)) return
    findings.problem(
      Array.isArray(pullOn) ? valueAt(pullOn, index) : valueAt(image, 'pull_on'),
      `${path}.pull_on`,
      `unknown stage ${describe(item)}`,
      didYouMean(String(item), stageNames),
    )
  })
}
