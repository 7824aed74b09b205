/** What is wrong in the emulator's answers wherever it comes. */
import { child, descendants, type Element, elements, items, make, put, text } from './xml.ts'

const addressNames = new Set(['ipAddress', 'publicIp'])
const nameNames = new Set(['dnsName', 'publicDnsName'])

/**
 * Public addresses it invents are real ones of other people: away with them, so that nobody can dial them. And the
 * security groups of an instance whose network interfaces were given are missing at the instance.
 */
export function completeAnswer(root: Element): void {
  for (const element of [root, ...descendants(root)]) {
    element.children = element.children.filter((each) => {
      if (typeof each === 'string') return true
      if (addressNames.has(each.name)) return isLoopback(text(each))
      if (each.name === 'association' && child(each, 'publicIp') !== undefined) return isLoopback(text(each, 'publicIp'))
      return true
    })
    for (const each of elements(element)) if (nameNames.has(each.name) && !text(each).startsWith('ec2-127-')) each.children = []
    if (child(element, 'instanceId') !== undefined && child(element, 'networkInterfaceSet') !== undefined && items(element, 'groupSet').length === 0) {
      const groups = items(element, 'networkInterfaceSet').flatMap((nic) => items(nic, 'groupSet'))
      put(element, make('groupSet', ...groups))
    }
  }
}

/** Of DescribeVolumes: which volumes go with the instance they are attached to; the emulator says of all that they stay. */
export function tellWhatGoes(root: Element, going: ReadonlySet<string>): void {
  for (const volume of items(root, 'volumeSet'))
    for (const attachment of items(volume, 'attachmentSet')) put(attachment, make('deleteOnTermination', String(going.has(text(volume, 'volumeId')))))
}

const isLoopback = (address: string): boolean => address === '' || address.startsWith('127.')
