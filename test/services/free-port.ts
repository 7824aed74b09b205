import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:net'

/** A port of 127.0.0.1 that nobody has at the moment; below those the kernel gives out by itself, since Zabbix takes none above 32767. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt++) {
    const port = randomInt(12_000, 32_000)
    const server = createServer()
    const free = await Promise.race([once(server.listen(port, '127.0.0.1'), 'listening').then(() => true), once(server, 'error').then(() => false)]).catch(
      () => false,
    )
    if (!free) continue
    server.close()
    await once(server, 'close')
    return port
  }
  throw new Error('no free port of 127.0.0.1 was found')
}
