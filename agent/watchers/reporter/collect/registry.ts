/** The site's registry on the repository server. */
import { readFile } from 'node:fs/promises'
import { request } from 'node:https'
import { join } from 'node:path'
import { run } from '../../../adapters/command.ts'
import { registryPaths } from '../../../adapters/registry-config.ts'
import type { Collector } from '../collector.ts'

export const registryAnswers = (pkiDir: string): Collector => ({
  name: 'the registry',
  every: 60,
  concerns: ({ repository, registryPort }) => repository && registryPort > 0,
  async collect({ configuration, signal }) {
    return [{ key: 'hive.registry.up', value: (await answers(configuration.registryPort, await readFile(join(pkiDir, 'ca.pem'), 'utf8'), signal)) ? 1 : 0 }]
  },
})

export const registrySize: Collector = {
  name: "the registry's disk space",
  every: 3600,
  deadline: 120_000,
  concerns: ({ repository, registryPort }) => repository && registryPort > 0,
  async collect({ signal }) {
    const { stdout, code } = await run(['nice', 'du', '-sx', '--block-size=1', registryPaths.storage], {
      readOnly: true,
      timeout: 110_000,
      okCodes: [0, 1],
      signal,
    })
    return code === 0 || /^\d+/.test(stdout) ? [{ key: 'hive.registry.size', value: Number.parseInt(stdout, 10) }] : []
  },
}

/** With a password or the wish for one: it is there. */
function answers(port: number, ca: string, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(
      { host: '127.0.0.1', port, path: '/v2/', ca, agent: false, signal: AbortSignal.any([signal, AbortSignal.timeout(10_000)]) },
      (response) => {
        response.resume()
        resolve(response.statusCode === 200 || response.statusCode === 401)
      },
    )
    asked.on('error', () => resolve(false))
    asked.end()
  })
}
