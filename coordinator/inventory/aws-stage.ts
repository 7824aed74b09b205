/**
 * What an aws stage must say before anything can be made. Told for the stage at hand only: hive-builder took inventories whose other
 * stages were never finished.
 */
import { formatNetwork4, type Network4, sizeOf } from './addresses.ts'
import { isTemplateText } from './mapping.ts'
import type { Findings } from './problems.ts'
import type { Sources } from './sources.ts'
import type { StageDefinition } from './stages.ts'
import { startOf, valueAt } from './yaml-source.ts'

/** Prefix lengths that EC2 takes for a VPC and for a subnet. */
const largest = 16
const smallest = 28

const last = (network: Network4): number => network.base + sizeOf(network) - 1
const contains = (outer: Network4, inner: Network4): boolean => outer.base <= inner.base && last(inner) <= last(outer)
const overlap = (a: Network4, b: Network4): boolean => a.base <= last(b) && b.base <= last(a)

export const checkAwsStage = (stage: StageDefinition, sources: Pick<Sources, 'groupVars' | 'hostVars'>, findings: Findings): void => {
  const { source, path } = stage
  const lacks = (key: string): boolean => source[key] === undefined || source[key] === null || source[key] === ''
  const need = (key: string, instead: string): void => {
    if (lacks(key)) findings.problem(startOf(source), path, `the attribute '${key}' is missing`, instead)
  }
  need('region', 'add region: ap-northeast-1 (or another)')
  const files = [...sources.groupVars.values(), ...sources.hostVars.values()].flat()
  const isGiven = files.some((variables) => variables['hive_instance_type'] !== undefined)
  if (!isGiven) need('instance_type', 'add instance_type: t3.medium (or another)')
  if (!isGiven && stage.separateRepository)
    need('repository_instance_type', 'add repository_instance_type: t3.large (or another), or separate_repository: False')
  const { prefix } = stage.network
  if (!lacks('cidr') && (prefix < largest || prefix > smallest)) {
    findings.problem(
      valueAt(source, 'cidr'),
      `${path}.cidr`,
      `${formatNetwork4(stage.network)} can't be a network of AWS`,
      `write a network from /${largest} to /${smallest}, as 192.168.0.0/24`,
    )
  }
  if (!lacks('cidr')) checkSubnets(stage, findings)
}

const checkSubnets = ({ path, region, network, subnets }: StageDefinition, findings: Findings): void => {
  subnets.forEach((subnet, index) => {
    const itemPath = `${path}.subnets[${index}]`
    const at = { cidr: valueAt(subnet.source, 'cidr'), zone: valueAt(subnet.source, 'available_zone') }
    const written = formatNetwork4(subnet.network)
    if (!contains(network, subnet.network))
      findings.problem(at.cidr, `${itemPath}.cidr`, `${written} is not inside the stage's cidr ${formatNetwork4(network)}`, 'write a part of it')
    else if (subnet.network.prefix > smallest)
      findings.problem(at.cidr, `${itemPath}.cidr`, `${written} is too small for a subnet of AWS`, `write /${smallest} or larger`)
    const other = subnets.slice(0, index).find((before) => overlap(before.network, subnet.network))
    if (other !== undefined)
      findings.problem(
        at.cidr,
        `${itemPath}.cidr`,
        `${written} is a part of the subnet ${formatNetwork4(other.network)}`,
        'write networks that share no address',
      )
    const { zone } = subnet
    if (zone !== undefined && region !== undefined && !isTemplateText(zone) && !zone.startsWith(region))
      findings.problem(at.zone, `${itemPath}.available_zone`, `${zone} is no zone of the region ${region}`, `write ${region}a (or another letter)`)
  })
}
