/**
 * deploy-services: each service's exact image on every host that may run it, then the service itself, by the first hive
 * host. Services do not wait for each other. Agents are told how services are backed up.
 */
import type { Step } from '#gen/hive/v1/step.ts'
import { labelComplaints } from '../../proto/follower-labels.ts'
import { siteArchives } from '../ansible/archives.ts'
import { contentTags } from '../ansible/content-tag.ts'
import { diskConstraints } from '../inventory/mirrored-volumes.ts'
import type { Service, Site } from '../inventory/site.ts'
import type { StageState } from '../run/stage-state.ts'
import { backupsStep, takesPartInBackups } from './backups.ts'
import { eligibleHosts } from './deploy-services/eligible-hosts.ts'
import { authFor, heldImage, type ImageSources, originOf, resolve, type ServiceImage } from './deploy-services/images.ts'
import { logRules } from './deploy-services/log-rules.ts'
import { convergeSeconds, toEnsureService } from './deploy-services/service-spec.ts'
import { type FactSource, type Limit, type Phase, step } from './phase.ts'

export interface DeployFacts {
  /** By service name. */
  readonly images: ReadonlyMap<string, ServiceImage>
}

const restarts = 1
/** Beside what convergence may take: docker's own answers, seconds. */
const margin = 120
const pullSeconds = 1800

/** The phase, given where images come from. */
export function deployServicesFrom(sourcesOf: (site: Site) => Promise<ImageSources>): Phase<DeployFacts> {
  return {
    name: 'deploy-services',

    async gather(source: FactSource) {
      const sources = await sourcesOf(source.site)
      const origins = servicesOf(source.site, source.limit).map((service) => ({ service, origin: originOf(service, source.site, sources) }))
      // Services that share a reference ask once.
      const answers = new Map<string, Promise<ServiceImage>>()
      for (const { origin } of origins) if (!answers.has(origin.reference)) answers.set(origin.reference, resolve(origin, source))
      const images = new Map<string, ServiceImage>()
      for (const { service, origin } of origins)
        images.set(service.name, heldImage(service.name, source.state) ?? (await answers.get(origin.reference)) ?? { reference: origin.reference, digest: '' })
      return { images }
    },

    async steps({ site, limit, facts, state, awaitTasks }) {
      const manager = site.hosts.find((host) => host.isFirstHive)
      if (manager === undefined) return { steps: [], blobs: new Map(), notices: [] }
      const ofImages = new Map<string, Step>()
      const ofServices: Step[] = []
      const patience = awaitTasks === false ? 0 : convergeSeconds
      for (const service of servicesOf(site, limit)) {
        const image = facts.images.get(service.name)
        if (image === undefined) continue
        const present = eligibleHosts(service, site)
          .filter((host) => limit.hosts?.has(host.name) !== false)
          .map((host) => imageStep(image, host.name, site))
        for (const made of present) ofImages.set(made.id, made)
        if (limit.hosts?.has(manager.name) === false) continue
        ofServices.push(
          step(
            'deploy-services',
            service.name,
            manager.name,
            `service ${service.name}`,
            'ensureService',
            toEnsureService(service, image.reference, site, patience, image.digest),
            {
              needs: present.map((made) => made.id),
              disruption: restarts,
              timeoutSeconds: convergeSeconds + margin,
            },
          ),
        )
      }
      const told = site.hosts.filter((host) => takesPartInBackups(host) && limit.hosts?.has(host.name) !== false)
      const ofBackups = await Promise.all(told.map((host) => backupsStep('deploy-services', site, host)))
      return {
        steps: [...ofImages.values(), ...logRules(site, limit), ...ofServices, ...ofBackups],
        blobs: new Map(),
        notices: [...heldNotices(site, limit, state), ...labelNotices(site, limit)],
      }
    },
  }
}

/** The phase, with images from the site's own content. */
export const deployServices: Phase<DeployFacts> = deployServicesFrom(async (site) => {
  const [tags, archives] = await Promise.all([contentTags(site), siteArchives(site)])
  return { contentTags: tags, shipped: archives.flatMap((archive) => archive.references) }
})

const heldNotices = (site: Site, limit: Limit, state: StageState): readonly string[] =>
  servicesOf(site, limit).flatMap(({ name }) => {
    const held = heldImage(name, state)
    if (held === undefined) return []
    return [`${name} is held at ${held.reference} since ${held.since}; \`hivecoord images forward ${name}\` lets it follow the inventory again`]
  })

/** Such a label hurts nothing but its own service, and the deploy goes on. */
const labelNotices = (site: Site, limit: Limit): readonly string[] =>
  servicesOf(site, limit).flatMap(({ name, labels }) => labelComplaints(labels).map((complaint) => `${name}: ${complaint}; hosts do not follow it`))

const servicesOf = (site: Site, limit: Limit): readonly Service[] =>
  site.services
    .filter((service) => service.stages.includes(site.stage) && limit.services?.has(service.name) !== false)
    .map((service) => ({ ...service, constraints: [...service.constraints, ...diskConstraints(service, site)] }))

function imageStep(image: ServiceImage, host: string, site: Site): Step {
  const auth = authFor(image.reference, site)
  return step(
    'deploy-services',
    `image ${image.reference}`,
    host,
    `image ${image.reference}`,
    'ensureImage',
    { reference: image.reference, digest: image.digest, ...(auth === undefined ? {} : { auth }) },
    { timeoutSeconds: pullSeconds },
  )
}
