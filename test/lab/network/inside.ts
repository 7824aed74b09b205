/** Runs in a network namespace: calls what standard input asks of the agent's adapters, one after the other, and prints their answers as JSON. */
import { text } from 'node:stream/consumers'
import { pino } from 'pino'
import { writable } from '../../../agent/adapters/gate.ts'
import { lendAddress, readLinks, takeAddress } from '../../../agent/adapters/network/addresses.ts'
import { announce } from '../../../agent/adapters/network/announce.ts'
import { keepSettings, type Look, lookAtFirewall, putInPlace, shutOut } from '../../../agent/adapters/network/firewall.ts'
import type { FirewallSpec } from '../../../agent/adapters/network/firewall-rules.ts'
import { chainsOf, commentedRules, deleteRule, insertRule, listRules } from '../../../agent/adapters/network/iptables.ts'

import { KeyedLock } from '../../../agent/runs/keyed-lock.ts'
import { FirewallKeeper } from '../../../agent/watchers/firewall-keeper.ts'
import { messageOf } from '../../../proto/errors.ts'

const signal = AbortSignal.timeout(60_000)

const calls = {
  readLinks: () => readLinks(signal),
  lendAddress: (address: Parameters<typeof lendAddress>[0], seconds: number) => lendAddress(address, seconds, { signal }),
  takeAddress: (address: Parameters<typeof takeAddress>[0]) => takeAddress(address, { signal }),
  announce: (link: string, addresses: readonly string[]) => announce(link, addresses, signal),
  insertRule: async (rule: Parameters<typeof insertRule>[0]) => void (await insertRule(rule, signal)),
  deleteRule: async (rule: Parameters<typeof deleteRule>[0]) => void (await deleteRule(rule, signal)),
  rules: async (family: 4 | 6, table: 'nat' | 'filter', prefixes: readonly string[]) => {
    const listing = await listRules(family, table, signal)
    return listing === undefined ? undefined : { chains: chainsOf(listing), rules: commentedRules(listing, prefixes) }
  },
  firewallDifferences: async (spec: FirewallSpec) => (await lookAtFirewall(spec, signal)).flatMap((look: Look) => look.differences),
  keepSettings: (spec: FirewallSpec, path: string) => keepSettings(spec, path),
  /** Answers what the keeper told. */
  keep: async (path: string) => {
    const lines: string[] = []
    const log = pino({}, { write: (line: string) => void lines.push((JSON.parse(line) as { msg: string }).msg) })
    await new FirewallKeeper({ keys: new KeyedLock(), log, path }).once()
    return lines
  },
  shutOut: (spec: FirewallSpec) => shutOut(spec),
  /** Answers why it failed; '' where it did not. `refuse`: what it confirms with fails. */
  putInPlace: (spec: FirewallSpec, refuse: boolean) =>
    putInPlace(spec, {
      signal,
      log: () => undefined,
      confirm: async () => {
        if (refuse) throw new Error('refused')
      },
    }).then(() => '', messageOf),
}

export type Calls = typeof calls
export type Call = { readonly [K in keyof Calls]: readonly [K, ...Parameters<Calls[K]>] }[keyof Calls]

const asked = JSON.parse(await text(process.stdin)) as readonly Call[]
const answers: unknown[] = []
for (const [name, ...given] of asked) answers.push((await writable(() => (calls[name] as (...all: readonly unknown[]) => Promise<unknown>)(...given))) ?? null)
process.stdout.write(JSON.stringify(answers))
