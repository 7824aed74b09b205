/** The site's private registry. */
import type { Step } from '#gen/hive/v1/step.ts'
import { Disruption } from '#gen/hive/v1/step.ts'
import { archiveBlob, archivedImage, siteArchives } from '../../ansible/archives.ts'
import type { Host, Site } from '../../inventory/site.ts'
import { authFor } from '../deploy-services/images.ts'
import type { Blob } from '../phase.ts'
import { hostStep } from './host-step.ts'

/** Where the agent has its certificate, which bears the host's names and addresses. */
const pki = '/etc/hive-agent/pki'

export interface RegistrySteps {
  readonly steps: readonly Step[]
  readonly blobs: readonly Blob[]
}

/** After docker, which may have to run it. Its image comes from an archive of the site where there is one. Throws as siteArchives does. */
export async function registry(site: Site, host: Host): Promise<RegistrySteps> {
  const { port, user, password, image, inContainer } = site.registry
  const archives = await siteArchives(site)
  const shipped = archivedImage(archives, image)
  const archive = shipped === undefined ? undefined : archives.find(({ references }) => references.includes(shipped))
  const value = {
    port,
    user,
    password,
    certificatePath: `${pki}/cert.pem`,
    keyPath: `${pki}/key.pem`,
    // A name of its own for each content: another archive is another image, and is seen as a change.
    image: shipped === undefined ? image : `hive-registry:${shipped.contentTag}`,
    inContainer,
    blobSha256: archive?.sha256 ?? '',
    rootFilesystem: archive?.rootFilesystem ?? false,
    sourceReference: shipped?.name ?? '',
    auth: authFor(image, site),
  }
  const options = { after: ['packages', 'addon', 'docker'], disruption: Disruption.RESTART, timeoutSeconds: 1200 }
  return {
    steps: [hostStep(host, 'registry', `registry on port ${port}`, 'ensureRegistry', value, options)],
    blobs: archive === undefined ? [] : [archiveBlob(archive)],
  }
}
