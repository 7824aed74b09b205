import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { render } from '../../../coordinator/template/render.ts'
import { TemplateError } from '../../../coordinator/template/template.ts'

interface Recorded {
  readonly source: string
  readonly result?: unknown
  readonly error?: 'undefined' | 'other'
}

const file = new URL('../../fixtures/template/ansible.json', import.meta.url)
const recording = JSON.parse(readFileSync(file, 'utf8')) as { variables: Record<string, unknown>; cases: Recorded[] }

/** Fresh for each case: templates may change lists in place. */
function scope() {
  const variables = structuredClone(recording.variables)
  return { variable: (name: string) => variables[name], lookup: () => assert.fail('no lookups are recorded') }
}

for (const { source, result, error } of recording.cases) {
  test(`gives what Ansible gives for ${JSON.stringify(source)}`, () => {
    if (error === undefined) {
      assert.deepEqual(render(source, scope()), result)
      return
    }
    const isExpected = (thrown: unknown) => thrown instanceof TemplateError && (thrown.problem === 'undefined') === (error === 'undefined')
    assert.throws(() => render(source, scope()), isExpected)
  })
}
