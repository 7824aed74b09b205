import type { EnsurePackages } from '#gen/hive/v1/steps_host.ts'
import { HiveError } from '../../proto/errors.ts'
import { packageSystem } from '../adapters/os.ts'
import { holdPackages, installPackages, type PackageWork, packageStates, removePackages } from '../adapters/packages.ts'
import { blocked, change, type Executor, ok, type StepContext } from './executor.ts'

export const workOf = (context: StepContext): PackageWork => ({ signal: context.signal, onLine: (line) => context.log(line) })

export const ensurePackages: Executor<EnsurePackages> = {
  exclusive: () => 'packages',

  async check(spec) {
    const found = await compare(spec)
    if (found === undefined) return blocked('this host has neither apt nor dnf')
    const { missing, unwanted, unheld } = found
    const reasons = [
      ...(missing.length > 0 ? [`not installed: ${missing.join(', ')}`] : []),
      ...(unwanted.length > 0 ? [`installed: ${unwanted.join(', ')}`] : []),
      ...(unheld.length > 0 ? [`not held: ${unheld.join(', ')}`] : []),
    ]
    if (reasons.length === 0) return ok
    const plus = missing.map((name) => `+${name}`)
    const minus = unwanted.map((name) => `-${name}`)
    const hold = unheld.map((name) => `=${name}`)
    return change(reasons.join('; '), '', [...plus, ...minus, ...hold].join(' '))
  },

  async apply(spec, context) {
    const found = await compare(spec)
    if (found === undefined) throw new HiveError('unsupported', 'this host has neither apt nor dnf')
    const work = workOf(context)
    await removePackages(found.system, found.unwanted, work)
    await installPackages(found.system, found.missing, work)
    // Only now is it known which of them are there to be held.
    await holdPackages(found.system, (await compare(spec))?.unheld ?? [], work)
  },
}

async function compare(spec: EnsurePackages) {
  const system = await packageSystem()
  if (system === undefined) return undefined
  const wanted = system === 'apt' ? spec.apt : spec.dnf
  const states = await packageStates(system, [...new Set([...wanted, ...spec.absent, ...spec.hold])])
  return {
    system,
    missing: wanted.filter((name) => states.get(name)?.installed !== true),
    unwanted: spec.absent.filter((name) => states.get(name)?.installed === true || states.get(name)?.broken === true),
    unheld: spec.hold.filter((name) => states.get(name)?.installed === true && states.get(name)?.held !== true),
  }
}
