/** No code outside the folders of objectives and the two lists may compare with an objective's name. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { listedObjectives } from '../../packages/peft-core/src/objectives/objectives.ts';
import { sourceFiles } from './source-tree.ts';

const root = join(import.meta.dirname, '../..');
const own = /^packages\/peft-core\/src\/(train\/)?objectives\//;
/** Names that formats and learning rate schedules have as well. */
const shared = ['classification', 'cosine'];

test('no code outside the folders of objectives asks for one by name', () => {
  const names = listedObjectives.map(({ name }) => name).filter((name) => !shared.includes(name));
  const asks = new RegExp(`([!=]==|case) '(${names.join('|')})'`);
  assert.match("objective === 'contrastive'", asks);
  const found = sourceFiles(root, ['packages', 'apps'])
    .filter(({ path }) => !own.test(path) && !path.endsWith('.test.ts'))
    .flatMap(({ path, text }) =>
      text.split('\n').flatMap((line) => (asks.test(line) ? [`${path}: ${line}`] : [])),
    );
  assert.deepEqual(found, []);
});
