/** What `hivecoord doctor` finds, and the way out that it names. */
import type { LabSite } from '../lab/harness/lab-site.ts'

export interface Finding {
  readonly state: string
  readonly volume?: string
  readonly hosts: readonly string[]
  readonly title: string
  /** What `doctor --repair` would do. */
  readonly repair?: unknown
  /** Another command that helps, "hivecoord …"; absent or '': none. */
  readonly command?: string
}

/** The same of another look has the same key. */
export const findingKey = ({ state, volume = '', hosts }: Finding): string => [state, volume, ...hosts].join(' ')

/** A look that does not come about is a finding. */
export async function findingsOf(site: LabSite): Promise<readonly Finding[]> {
  const { code, result, errors } = await site.run(['doctor'])
  if (code !== 0) return [{ state: 'no answer', hosts: [], title: errors.map(({ message }) => message).join('; ') }]
  return (result as { readonly findings: readonly Finding[] }).findings
}

/** The words of the command that a finding names, without `hivecoord`; undefined: it names none. */
export function wayOut({ repair, command = '' }: Finding): readonly string[] | undefined {
  if (repair !== undefined) return ['doctor', '--repair']
  const [program, ...words] = command.split(' ')
  return program === 'hivecoord' && words.length > 0 ? words : undefined
}
