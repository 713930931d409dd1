/** docs/configuration.md and .env.example list the settings that the sources define. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { sections, settings } from '../../packages/service/src/settings/sections.ts';
import type { Setting } from '../../packages/service/src/settings/setting.ts';
import { renderCompose, renderExample, renderTables } from '../../scripts/configuration/render-settings.ts';
import { readSection } from '../../scripts/methods/docs-section.ts';

const root = path.join(import.meta.dirname, '../..');
const stale = 'stale: npm run config:docs';

test('docs/configuration.md has a row for each setting', async () => {
  assert.equal(
    await readSection(path.join(root, 'docs/configuration.md'), 'settings'),
    renderTables(sections),
    stale,
  );
});

test('.env.example has a line for each setting', () => {
  assert.equal(readFileSync(path.join(root, '.env.example'), 'utf8'), renderExample(sections), stale);
});

test('docker-compose.yml has a line for each setting that it sets nowhere else', () => {
  const compose = readFileSync(path.join(root, 'docker-compose.yml'), 'utf8');
  assert.equal(renderCompose(compose, sections), compose, stale);
});

test('every setting is in one section, and its default and example are valid', () => {
  const listed = sections.flatMap((section) => Object.keys(section.settings));
  assert.deepEqual(listed.toSorted(), Object.keys(settings).toSorted());
  for (const [name, { kind, default: fallback, unset, example }] of Object.entries<Setting>(settings)) {
    assert.ok(
      (fallback === undefined) !== (unset === undefined),
      `${name}: either a default or what unset means`,
    );
    for (const value of [fallback, example])
      if (value !== undefined) assert.notEqual(kind.parse(value), undefined, `${name}=${value}`);
  }
});
