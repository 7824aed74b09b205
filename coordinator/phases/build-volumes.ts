/** build-volumes: the docker volumes that must exist before services use them, on every hive host, and what mirrored ones are made of. */
import { type Phase, step } from './phase.ts'
import { planVolume } from './volume-backends.ts'

export const buildVolumes: Phase = {
  name: 'build-volumes',
  steps({ site, limit, state }) {
    const hosts = site.hosts.filter((host) => host.isHive && limit.hosts?.has(host.name) !== false)
    const volumes = site.volumes.filter((volume) => volume.stages.includes(site.stage) && limit.volumes?.has(volume.name) !== false)
    const plans = volumes.map((volume) => planVolume(volume, site, state))
    const steps = plans.flatMap((plan) => {
      if (plan.kind === 'mirrored') return plan.steps.filter((made) => hosts.some(({ name }) => name === made.host))
      if (plan.kind !== 'volume') return []
      const { spec } = plan
      return hosts.map((host) =>
        step('build-volumes', spec.name, host.name, `volume ${spec.name}`, 'ensureVolume', spec, { timeoutSeconds: spec.nfsFolder === undefined ? 0 : 600 }),
      )
    })
    return {
      steps,
      blobs: new Map(),
      notices: plans.flatMap((plan) => (plan.kind === 'volume' && plan.notice !== undefined ? [plan.notice] : [])),
      awaits: plans.flatMap((plan) => (plan.kind === 'volume' && plan.awaits !== undefined ? [plan.awaits] : [])),
      unsupported: plans.flatMap((plan) => (plan.kind === 'unsupported' ? [plan.reason] : [])),
    }
  },
}
