/** Running programs for the demo. */
import { spawn } from 'node:child_process'

export interface Ran {
  readonly code: number
  readonly out: string
}

/** Standard output is captured; what the program says on standard error is shown unless `quiet`. Killed after `deadline` milliseconds. */
export function run(
  argv: readonly string[],
  options: { readonly quiet?: boolean; readonly deadline?: number; readonly env?: NodeJS.ProcessEnv } = {},
): Promise<Ran> {
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0] ?? '', argv.slice(1), {
      stdio: ['ignore', 'pipe', options.quiet === true ? 'ignore' : 'inherit'],
      timeout: options.deadline ?? 900_000,
      env: options.env ?? process.env,
    })
    let out = ''
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      out += text
    })
    child.on('error', reject)
    child.on('close', (code) => resolve({ code: code ?? 1, out: out.trim() }))
  })
}

/** As `run`; throws where the program fails. */
export async function must(argv: readonly string[], options: Parameters<typeof run>[1] = {}): Promise<string> {
  const { code, out } = await run(argv, options)
  if (code !== 0) throw new Error(`${argv.join(' ')} ended with ${code}${out === '' ? '' : `: ${out}`}`)
  return out
}
