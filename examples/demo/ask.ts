/** One question to a host of the stage, asked from inside the stage's network: `ask.ts dns ADDRESS NAME` (TXT records) or `ask.ts http ADDRESS`. */
import { Resolver } from 'node:dns/promises'

const [kind = '', address = '', name = ''] = process.argv.slice(2)

if (kind === 'dns') {
  const resolver = new Resolver({ timeout: 2000, tries: 1 })
  resolver.setServers([address])
  console.log((await resolver.resolveTxt(name)).flat().join('\n'))
} else {
  const response = await fetch(`http://${address}/`, { signal: AbortSignal.timeout(5000) })
  if (!response.ok) throw new Error(`${address} answers ${response.status}`)
  console.log(await response.text())
}
