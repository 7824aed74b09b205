/** Something that answers at docker's socket, for the tests of the suite that asks for it. */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type RequestListener } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, beforeEach } from 'node:test'
import { useDockerSocket } from '../../agent/adapters/docker.ts'

/** Called in a suite. Answers the socket's path. */
export function answerAsDocker(listener: RequestListener): string {
  const folder = mkdtempSync(join(tmpdir(), 'hive-docker-'))
  const socket = join(folder, 'docker.sock')
  const server = createServer(listener)
  before(() => new Promise<void>((resolve) => server.listen(socket, resolve)))
  // A test may lead elsewhere.
  beforeEach(() => useDockerSocket(socket))
  after(() => {
    server.closeAllConnections()
    server.close()
    rmSync(folder, { recursive: true })
    useDockerSocket('/var/run/docker.sock')
  })
  return socket
}
