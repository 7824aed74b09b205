import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { readPersistents } from '../../../coordinator/inventory/persistents.ts'
import { loadSettings, setSetting } from '../../../coordinator/inventory/settings.ts'
import { HiveError } from '../../../proto/errors.ts'
import { siteFolder } from './site-folder.ts'

describe('settings', () => {
  test('have defaults with other settings filled in', (context) => {
    const root = siteFolder(context, {})
    assert.equal(loadSettings(root).stage, 'private')
    assert.equal(loadSettings(root, 'staging').get('context_dir'), `${root}/.hive/staging`)
    assert.equal(loadSettings(root).get('inventory_path'), `${root}/inventory`)
  })

  test('are stored under their scope, cast to their type', async (context) => {
    const root = siteFolder(context, {})
    await setSetting(root, 'stage', 'staging')
    await setSetting(root, 'first_hive', '2')
    await setSetting(root, 'no_format', 'yes')
    await setSetting(root, 'http_proxy', 'proxy:3128', 'production')
    assert.deepEqual(readPersistents(root), {
      stage: { global: 'staging' },
      first_hive: { staging: 2 },
      no_format: { global: true },
      http_proxy: { production: 'proxy:3128' },
    })
    assert.equal(loadSettings(root).get('first_hive'), 2)
    assert.equal(loadSettings(root, 'private').get('first_hive'), 0)
  })

  const refused: readonly (readonly [string, string, RegExp])[] = [
    ['stagee', 'private', /did you mean stage/],
    ['stage', 'prod', /private, staging, production/],
    ['first_hive', 'one', /whole number/],
    ['inventory_path', 'nowhere', /folder that exists/],
    ['drbd_device_map', '[1]', /JSON object/],
    ['destroy', 'true', /command line/],
  ]
  for (const [name, value, hint] of refused) {
    test(`refuses ${name} ${value} and says what is possible`, async (context) => {
      const root = siteFolder(context, {})
      await assert.rejects(
        setSetting(root, name, value),
        (thrown) => thrown instanceof HiveError && thrown.code === 'invalid-input' && hint.test(thrown.hint ?? ''),
      )
      assert.deepEqual(readPersistents(root), {})
    })
  }
})
