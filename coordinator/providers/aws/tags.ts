/**
 * How a stage's things are found again in an account: by their tags alone. `Project` and `Name` are hive-builder's, so that what it
 * made is known by the same; `hive:stage` tells stages of one site apart. Pure.
 */
export type Tags = Readonly<Record<string, string>>

export interface Owner {
  readonly site: string
  readonly stage: string
}

export const projectTag = 'Project'
export const stageTag = 'hive:stage'
export const hostTag = 'hive:host'

/** The tags of a thing of the stage. `host`: the inventory name of the host it belongs to. */
export const tagsOf = ({ site, stage }: Owner, name: string, host?: string): Tags => ({
  Name: name,
  [projectTag]: site,
  [stageTag]: stage,
  ...(host === undefined ? {} : { [hostTag]: host }),
})

/** Made for this stage by us, or by hive-builder (which knew no stages) under a name that only this stage uses. */
export function isOurs(owner: Owner, tags: Tags, hasItsName: (name: string | undefined) => boolean): boolean {
  if (tags[projectTag] !== owner.site) return false
  const stage = tags[stageTag]
  return stage === undefined ? hasItsName(tags['Name']) : stage === owner.stage
}

/** Those of `wanted` that `have` lacks or has with another value. */
export const missingTags = (wanted: Tags, have: Tags): Tags => Object.fromEntries(Object.entries(wanted).filter(([key, value]) => have[key] !== value))

export const tagList = (tags: Tags): { Key: string; Value: string }[] => Object.entries(tags).map(([Key, Value]) => ({ Key, Value }))

export const tagRecord = (list: readonly { readonly Key?: string | undefined; readonly Value?: string | undefined }[] | undefined): Tags =>
  Object.fromEntries((list ?? []).flatMap(({ Key, Value }) => (Key === undefined ? [] : [[Key, Value ?? '']])))
