/** No code outside a data format's file may compare with its name, and docs/files.md lists every format, kind of file and shape. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { formats } from '../../packages/peft-core/src/examples/formats/formats.ts';
import { containerTable, formatTable, publicTable, shapeTable } from '../../scripts/formats/main.ts';
import { readSection } from '../../scripts/methods/docs-section.ts';
import { sourceFiles } from './source-tree.ts';

const root = join(import.meta.dirname, '../..');
const folder = 'packages/peft-core/src/examples/formats/';
const names = formats.map(({ name }) => name).join('|');
/** Matches a comparison of `format` or `….format` with a name; and a `case` with a name that has no other meaning. */
const compared = new RegExp(`\\bformat\\b\\s*[!=]==?\\s*['"](${names})['"]`);
const switched = new RegExp(`\\bcase ['"](${names.replace(/\b(chat|text|pairs)\|/g, '')})['"]`);

const asksForName = (text: string) => compared.test(text) || switched.test(text);

test('nothing outside of a format asks for its name', () => {
  const files = sourceFiles(root, ['packages', 'apps', 'scripts', 'bench']).filter(
    ({ path }) => !/\.test\.ts$/.test(path) && !path.startsWith(folder),
  );
  assert.ok(files.length > 300, `only ${files.length} files were found`);
  assert.deepEqual(
    files.filter(({ text }) => asksForName(text)).map(({ path }) => path),
    [],
  );
});

test('a comparison and a switch are found', () => {
  for (const text of [
    "if (raw.format === 'pairs')",
    "format !== 'text'",
    "format ==\n 'chat'",
    "case 'scored_pairs':",
    "switch (format) { case 'prompt_completion': }",
  ])
    assert.ok(asksForName(text), text);
  for (const text of ["kind === 'chat'", "case 'text':", "format === 'csv'", "name: 'pairs'"])
    assert.ok(!asksForName(text), text);
});

test('docs/files.md lists every format, kind of file and shape of rows', async () => {
  const tables = {
    formats: formatTable(),
    containers: containerTable(),
    shapes: shapeTable(),
    public: publicTable(),
  };
  for (const [name, table] of Object.entries(tables)) {
    assert.equal(
      await readSection(join(root, 'docs/files.md'), name),
      table,
      'make it again: node --import tsx scripts/formats/main.ts',
    );
  }
});
