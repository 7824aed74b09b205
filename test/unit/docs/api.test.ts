import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { status } from '@grpc/grpc-js'
import { apiTables, readContract } from '../../../proto/api-tables.ts'
import { errorCodes, HiveError } from '../../../proto/errors.ts'
import { rules } from '../../../proto/roles.ts'
import { toServiceError } from '../../../proto/status.ts'

const root = new URL('../../..', import.meta.url).pathname
const read = (path: string): string => readFileSync(join(root, path), 'utf8')
const text = read('docs/api.md')
const contract = readContract(globSync('proto/hive/v1/*.proto', { cwd: root }).sort().map(read))

describe('docs/api.md', () => {
  it('has the contract as it is: `npm run docs` writes it', () => assert.ok(text.endsWith(apiTables(contract, rules))))

  it('has every RPC that has a role, and no other', () => {
    const told = contract.services.flatMap(({ name, rpcs }) => rpcs.map((rpc) => `hive.v1.${name}/${rpc.name}`))
    assert.deepEqual(
      told.toSorted(),
      Object.keys(rules)
        .filter((name) => name.startsWith('hive.v1.'))
        .toSorted(),
    )
    for (const { rpcs } of contract.services) for (const { request } of rpcs) assert.ok(contract.messages.has(request), request)
  })

  it('has every error under the status that agents answer', () => {
    for (const code of errorCodes) {
      const name = status[toServiceError(new HiveError(code, 'x')).code]
      assert.ok(
        text.split('\n').some((line) => line.startsWith(`| \`${name}\` |`) && line.includes(`\`${code}\``)),
        `${name} ${code}`,
      )
    }
  })
})
