/** Whether placement constraints let a task run on a node, as far as what is known of the node decides it. Pure. */
import type { NodePicture } from './picture.ts'

/** yes, no, or the constraint that can't be decided here. */
export function admits(constraints: readonly string[], node: NodePicture): 'yes' | 'no' | { readonly undecided: string } {
  const answers = constraints.map((constraint) => admitsOne(constraint, node))
  if (answers.includes('no')) return 'no'
  return answers.find((answer) => typeof answer === 'object') ?? 'yes'
}

function admitsOne(constraint: string, node: NodePicture): ReturnType<typeof admits> {
  const [, attribute = '', operator, value = ''] = /^\s*([^\s=!]+)\s*(==|!=)\s*(.*?)\s*$/.exec(constraint) ?? []
  const actual = operator === undefined ? undefined : attributeOf(attribute, node)
  if (actual === undefined) return { undecided: constraint }
  // Docker compares without regard to case, and a label that a node does not have is no value.
  return (actual.toLowerCase() === value.toLowerCase()) === (operator === '==') ? 'yes' : 'no'
}

function attributeOf(attribute: string, { id, name, role, labels }: NodePicture): string | undefined {
  switch (attribute) {
    case 'node.id':
      return id
    case 'node.hostname':
      return name
    case 'node.role':
      return role
    default: {
      const label = /^node\.labels\.(.+)$/.exec(attribute)?.[1]
      return label === undefined ? undefined : (labels[label] ?? '')
    }
  }
}
