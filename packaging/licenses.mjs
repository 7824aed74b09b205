// The licences of the modules that a bundle contains, as they ask for wherever they are passed on.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')

/** One text from esbuild's metafile: name, version and licence of each module, sorted. */
export function licencesIn({ inputs }) {
  const homes = new Set(Object.keys(inputs).flatMap((path) => /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0] ?? []))
  return [...homes].sort().map(licenceOf).join('\n')
}

function licenceOf(home) {
  const folder = join(root, home)
  const { name, version, license, author } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
  const file = readdirSync(folder).find((entry) => /^(?:licen[cs]e|copying)(?:\.|-|$)/i.test(entry))
  const by = typeof author === 'string' ? author : author?.name
  const text =
    file === undefined || !existsSync(join(folder, file))
      ? `${license}${by === undefined ? '' : `, by ${by}`}`
      : readFileSync(join(folder, file), 'utf8').trim()
  return `${'-'.repeat(80)}\n${name} ${version}\n\n${text}\n`
}
