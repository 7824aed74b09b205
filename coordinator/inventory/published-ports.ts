import type { ServiceDefinition } from './definitions.ts'
import type { Findings } from './problems.ts'
import type { Service, ServicePort } from './site.ts'
import { startOf } from './yaml-source.ts'

/**
 * Two services of a stage can't publish the same port of the same protocol: the routing mesh listens on every host.
 * Where both use mode host, they collide only on a shared host, which placement may prevent: that is told, not refused.
 */
export const checkPublishedPorts = (definitions: readonly ServiceDefinition[], services: readonly Service[], findings: Findings): void => {
  const taken = new Map<string, { readonly service: string; readonly port: ServicePort }>()
  services.forEach((service, index) => {
    const definition = definitions[index]
    if (definition === undefined) return
    service.ports.forEach((port, position) => {
      const key = `${port.published}/${port.protocol}`
      const before = taken.get(key)
      const at = definition.ports[position]?.at ?? startOf(definition.source)
      const path = definition.ports[position]?.path ?? `${definition.path}.ports`
      if (before === undefined) taken.set(key, { service: service.name, port })
      else if (before.service !== service.name && before.port.mode === 'host' && port.mode === 'host') {
        findings.noticeAt(at, path, `${key} is published by ${before.service} too; their tasks can't run on the same host`)
      } else if (before.service !== service.name || before.port.target !== port.target) {
        findings.problem(
          at,
          path,
          `the port ${key} is published by ${before.service} already`,
          'publish another port, or leave the published port out to have one allocated',
        )
      } else findings.problem(at, path, `the port ${key} is listed twice`, 'remove one of them')
    })
  })
}
