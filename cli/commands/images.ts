/** `hivecoord images …`: the stage's images, going back to an earlier one, and the registry that keeps them. */
import type { Command } from 'commander'
import pc from 'picocolors'
import type { PruneRegistryResponse } from '#gen/hive/v1/registry.ts'
import type { DeployResult, ImageListing } from '../../coordinator/index.ts'
import type { App } from '../app.ts'
import { exitCodeOf, leftOutExitCode } from '../exit-codes.ts'
import { columns, count, shortHost } from '../render/format.ts'
import { bytes } from '../render/sizes.ts'
import { positive } from './numbers.ts'

export function registerImages(program: Command, app: () => App): void {
  /** What phases did, with their errors; `said` where it came to its end. */
  const show = (result: DeployResult, data: object, said: string): void => {
    const { renderer } = app()
    if (!result.ok) for (const error of result.errors) renderer.error(error)
    renderer.result({ ...data, ...result }, result.ok ? said : '')
    process.exitCode = exitCodeOf(result) ?? process.exitCode
  }

  const images = program.command('images').description('images of the stage, and the registry that keeps them')
  images
    .command('list')
    .description('builds in the registry and what services run: tags, digest, size, age, who uses them, which hosts have them')
    .action(async () => {
      const { open, renderer } = app()
      const listing = await (await open()).listImages()
      renderer.result(asJson(listing), listingText(listing))
      for (const message of listing.problems) renderer.event({ code: 'warning', message })
      if (listing.problems.length > 0) process.exitCode = leftOutExitCode
    })
  images
    .command('rollback')
    .description('run an earlier image of a service, and keep it there through deploys until `images forward`')
    .argument('<service>')
    .option('--to <build>', 'a tag or digest of `images list`; else the build before the one that runs')
    .action(async (service: string, { to }: { to?: string }) => {
      const stage = await app().open({ writes: true })
      const { target, result } = await stage.rollBack(service, to)
      const built = target.built === undefined ? '' : `, built ${target.built.toISOString()}`
      const said = [
        `${service} runs ${target.reference}${built}, and deploys leave it there`,
        `\`hivecoord images forward ${service}\` lets it follow the inventory again`,
      ]
      show(result, { service, reference: target.reference }, said.join('\n'))
    })
  images
    .command('forward')
    .description('let a service that was taken back follow the inventory again')
    .argument('<service>')
    .action(async (service: string) => {
      const stage = await app().open({ writes: true })
      show(await stage.forward(service), { service }, `${service} follows the inventory again`)
    })
  images
    .command('prune')
    .description('take old builds away from the registry; what is used and the newest stay')
    .option('--keep <n>', 'builds of each image; else hive_registry_keep', positive)
    .option('--dry-run', 'only show what would go')
    .action(async ({ keep = 0, dryRun = false }: { keep?: number; dryRun?: boolean }) => {
      const { open, renderer } = app()
      const pruned = await (await open()).pruneImages({ keep, dryRun })
      renderer.result(prunedJson(pruned), prunedText(pruned, dryRun))
    })
  images
    .command('restore')
    .description('bring back to the registry what it lost and hosts still have')
    .action(async () => {
      const result = await (await app().open({ writes: true })).restoreImages()
      show(result, {}, result.changed === 0 ? 'the registry has all that hosts have' : `${count(result.changed, 'image')} brought back`)
    })
}

function listingText({ rows, held, usage, host }: ImageListing): string {
  const table = rows.map(({ image, tags, digest, bytes: size, built, services, before, hosts, inRegistry }) => [
    inRegistry ? image : pc.dim(image),
    tags.join(' ') || '-',
    digest.replace(/^sha256:/, '').slice(0, 12) || '-',
    size === 0 ? '-' : bytes(size),
    built === undefined ? '-' : built.toISOString().slice(0, 16).replace('T', ' '),
    [...services.map((name) => (held[name] === undefined ? name : pc.yellow(`${name} (held)`))), ...before.map((name) => pc.dim(`${name} (before)`))].join(
      ' ',
    ) || '-',
    hosts.map(shortHost).join(' ') || '-',
  ])
  const head = ['IMAGE', 'TAGS', 'DIGEST', 'SIZE', 'BUILT', 'SERVICES', 'HOSTS']
  return [rows.length === 0 ? 'no images' : columns([head, ...table]), ...(usage === undefined ? [] : ['', usageText(usage, host)])].join('\n')
}

function usageText(usage: NonNullable<ImageListing['usage']>, host: string): string {
  const unused = usage.unusedBytes === 0n ? '' : `, ${bytes(Number(usage.unusedBytes))} of it unused`
  const disk = `${bytes(Number(usage.diskFreeBytes))} of ${bytes(Number(usage.diskBytes))} free`
  const tidied = usage.tidied === undefined ? 'never tidied' : `tidied ${usage.tidied.toISOString()}`
  const problem = usage.tidyProblem === '' ? '' : pc.yellow(`; the last time it failed: ${usage.tidyProblem}`)
  return `registry on ${shortHost(host)}: ${bytes(Number(usage.bytes))}${unused}; disk: ${disk}; ${tidied}${problem}`
}

function prunedText({ manifests, freedBytes }: PruneRegistryResponse, dryRun: boolean): string {
  const rows = manifests
    .filter(({ removed }) => removed)
    .map(({ manifest, why }) => [
      manifest?.repository ?? '',
      manifest?.tags.join(' ') || '-',
      manifest?.digest.replace(/^sha256:/, '').slice(0, 12) ?? '',
      manifest?.built?.toISOString().slice(0, 16).replace('T', ' ') ?? '-',
      why,
    ])
  const said = `${count(rows.length, 'build')} ${dryRun ? 'would go' : 'gone'}, ${bytes(Number(freedBytes))} ${dryRun ? 'would be free' : 'freed'}; ${manifests.length - rows.length} stay`
  return [...(rows.length === 0 ? [] : [columns(rows)]), said].join('\n')
}

const asJson = ({ rows, held, usage, problems }: ImageListing): unknown => ({
  images: rows.map((row) => ({ ...row, built: row.built?.toISOString() })),
  held,
  registry:
    usage === undefined
      ? undefined
      : {
          bytes: Number(usage.bytes),
          unusedBytes: Number(usage.unusedBytes),
          diskBytes: Number(usage.diskBytes),
          diskFreeBytes: Number(usage.diskFreeBytes),
          tidied: usage.tidied?.toISOString(),
          tidyProblem: usage.tidyProblem,
        },
  problems,
})

const prunedJson = ({ manifests, freedBytes }: PruneRegistryResponse): unknown => ({
  freedBytes: Number(freedBytes),
  builds: manifests.map(({ manifest, removed, why }) => ({
    image: manifest?.repository,
    tags: manifest?.tags,
    digest: manifest?.digest,
    built: manifest?.built?.toISOString(),
    removed,
    why,
  })),
})
