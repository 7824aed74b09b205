/** Asks a registry of this host whether it lets a user in. */
import https from 'node:https'
import { setTimeout as delay } from 'node:timers/promises'
import { messageOf } from '../../proto/errors.ts'

export interface RegistryAccess {
  readonly port: number
  readonly user: string
  readonly password: string
  /** PEM of the CA that its certificate must come from. */
  readonly ca: string
}

/** GET /v2/ with the password; '' when it answers 200, else what is wrong, in words. */
export function probeRegistry(access: RegistryAccess, signal: AbortSignal): Promise<string> {
  return new Promise((resolve) => {
    const request = https.request(
      {
        host: '127.0.0.1',
        port: access.port,
        path: '/v2/',
        auth: `${access.user}:${access.password}`,
        ca: access.ca,
        agent: false,
        signal: AbortSignal.any([signal, AbortSignal.timeout(5_000)]),
      },
      (response) => {
        response.resume()
        resolve(response.statusCode === 200 ? '' : `it answers ${response.statusCode} to its user`)
      },
    )
    request.on('error', (error) => resolve(messageOf(error)))
    request.end()
  })
}

/** Asks again until it answers 200 or `milliseconds` have passed; answers as probeRegistry. */
export async function awaitRegistry(access: RegistryAccess, milliseconds: number, signal: AbortSignal): Promise<string> {
  const deadline = performance.now() + milliseconds
  for (;;) {
    const problem = await probeRegistry(access, signal)
    if (problem === '' || signal.aborted || performance.now() > deadline) return problem
    await delay(250, undefined, { signal }).catch(() => undefined)
  }
}
