/** The first names in a gzipped tar archive. */
import { Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { extract } from 'tar-stream'

/** Throws where it is no such archive. */
export async function namesInTar(source: AsyncIterable<Uint8Array>, count: number): Promise<readonly string[]> {
  const from = Readable.from(source)
  const gunzip = createGunzip()
  const tar = extract()
  from.on('error', (error) => gunzip.destroy(error)).pipe(gunzip)
  gunzip.on('error', (error) => tar.destroy(error)).pipe(tar as unknown as NodeJS.WritableStream)
  const names: string[] = []
  try {
    for await (const entry of tar) {
      names.push(entry.header.name)
      entry.resume()
      if (names.length >= count) break
    }
  } finally {
    from.destroy()
    gunzip.destroy()
  }
  return names
}
