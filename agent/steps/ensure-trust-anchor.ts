import type { EnsureTrustAnchor } from '#gen/hive/v1/steps_host.ts'
import { HiveError } from '../../proto/errors.ts'
import { run } from '../adapters/command.ts'
import { exists, readText, rootFile, writeFileAtomic } from '../adapters/files.ts'
import { packageSystem } from '../adapters/os.ts'
import { blocked, change, type Executor, ok } from './executor.ts'

const places = {
  apt: {
    anchor: (name: string) => `/usr/local/share/ca-certificates/${name}.crt`,
    bundle: '/etc/ssl/certs/ca-certificates.crt',
    tool: '/usr/sbin/update-ca-certificates',
  },
  dnf: {
    anchor: (name: string) => `/etc/pki/ca-trust/source/anchors/${name}.pem`,
    bundle: '/etc/pki/tls/certs/ca-bundle.crt',
    tool: '/usr/bin/update-ca-trust',
  },
} as const

export const ensureTrustAnchor: Executor<EnsureTrustAnchor> = {
  // The package ca-certificates makes the same bundle when it is installed or upgraded.
  exclusive: () => 'packages',

  async check(spec) {
    const system = await packageSystem()
    if (system === undefined) return blocked('where this host keeps its trusted certificates is not known')
    if (body(spec.pem) === '') return blocked(`the certificate ${spec.name} is empty`, 'the stage has no CA before build-infra')
    const { anchor, bundle } = places[system]
    if ((await readText(anchor(spec.name))) !== fileText(spec.pem)) return change(`${anchor(spec.name)} is missing or differs`, '', anchor(spec.name))
    // The bundle is made in a second step, which an interrupted run may have missed.
    if (!(await readText(bundle)).includes(body(spec.pem))) return change(`${bundle} does not have it`, '', bundle)
    return ok
  },

  async apply(spec, context) {
    const system = await packageSystem()
    if (system === undefined) throw new HiveError('unsupported', 'where this host keeps its trusted certificates is not known')
    const { anchor, tool } = places[system]
    if (!(await exists(tool))) throw new HiveError('not-found', `this host has no ${tool}`, { hint: 'install the package ca-certificates' })
    await writeFileAtomic(anchor(spec.name), fileText(spec.pem), rootFile)
    await run([tool], { signal: context.signal, timeout: 120_000 })
  },
}

const fileText = (pem: string): string => `${pem.trim()}\n`
/** The part of the PEM between its border lines, as bundles carry it too. */
const body = (pem: string): string => pem.trim().split('\n').slice(1, -1).join('\n')
