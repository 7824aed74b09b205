import type { EnsureTrustAnchor } from '#gen/hive/v1/steps_host.ts'
import { HiveError } from '../../proto/errors.ts'
import { certificatesIn } from '../../proto/pem.ts'
import { run } from '../adapters/command.ts'
import { exists, readText, removeFile, rootFile, writeFileAtomic } from '../adapters/files.ts'
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

/** The first has the anchor's name; a second one, while a CA is exchanged, has a file of its own: Debian's tool takes one of each file. */
const secondName = (name: string): string => `${name}-2`

export const ensureTrustAnchor: Executor<EnsureTrustAnchor> = {
  // The package ca-certificates makes the same bundle when it is installed or upgraded.
  exclusive: () => 'packages',

  async check(spec) {
    const system = await packageSystem()
    if (system === undefined) return blocked('where this host keeps its trusted certificates is not known')
    const wanted = anchorsOf(spec)
    if (wanted.length === 0) return blocked(`the certificate ${spec.name} is empty`, 'the stage has no CA before build-infra')
    const { anchor, bundle } = places[system]
    for (const { name, pem } of wanted) if ((await readText(anchor(name))) !== pem) return change(`${anchor(name)} is missing or differs`, '', anchor(name))
    const second = anchor(secondName(spec.name))
    if (wanted.length === 1 && (await exists(second))) return change(`${second} counts no more`, second, '')
    // The bundle is made in a second step, which an interrupted run may have missed.
    const trusted = await readText(bundle)
    return wanted.every(({ pem }) => trusted.includes(body(pem))) ? ok : change(`${bundle} does not have it`, '', bundle)
  },

  async apply(spec, context) {
    const system = await packageSystem()
    if (system === undefined) throw new HiveError('unsupported', 'where this host keeps its trusted certificates is not known')
    const { anchor, tool } = places[system]
    if (!(await exists(tool))) throw new HiveError('not-found', `this host has no ${tool}`, { hint: 'install the package ca-certificates' })
    const [first, ...rest] = anchorsOf(spec)
    if (first === undefined) throw new HiveError('invalid-input', `the certificate ${spec.name} is empty`)
    const second = anchor(secondName(spec.name))
    const leftOver = rest.length === 0 && (await exists(second))
    // One that counts no more leaves the bundle before its file goes: an interrupted run finds the file.
    for (const { name, pem } of [first, ...rest, ...(leftOver ? [{ name: secondName(spec.name), pem: first.pem }] : [])])
      await writeFileAtomic(anchor(name), pem, rootFile)
    const update = () => run([tool], { signal: context.signal, timeout: 120_000 })
    await update()
    if (!leftOver) return
    await removeFile(second)
    await update()
  },
}

const anchorsOf = ({ name, pem }: EnsureTrustAnchor): readonly { readonly name: string; readonly pem: string }[] =>
  certificatesIn(pem).map((one, index) => ({ name: index === 0 ? name : secondName(name), pem: one }))

/** The part of the PEM between its border lines, as bundles carry it too. */
const body = (pem: string): string => pem.trim().split('\n').slice(1, -1).join('\n')
