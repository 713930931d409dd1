import assert from 'node:assert/strict';
import { test } from 'node:test';
import { findWords } from './read-files.ts';

const found = (path: string, text: string) =>
  findWords(path, text).map(({ line, word }) => `${line} ${word}`);

test('words in comments, strings and templates are found, with their lines', () => {
  const source = [
    '// Whoever opens it.',
    "import { told } from './told.ts';",
    "const a = 'it is told';",
    // biome-ignore lint/suspicious/noTemplateCurlyInString: source text
    'const b = `no ${1} anew`;',
    '/**',
    ' * It goes',
    ' * on.',
    ' */',
  ].join('\n');
  assert.deepEqual(found('a.ts', source), ['1 Whoever', '3 told', '4 anew', '6 goes on']);
});

test('words in the text of pages are found, but not code', () => {
  const page =
    'export const Page = () => (\n  <p title="asked for">\n    What it comes to: {told}\n  </p>\n);\n';
  assert.deepEqual(found('page.tsx', page), ['2 asked for', '3 comes to']);
});

test('names are found where they are declared', () => {
  const source =
    'export function tellJob(mostBytes: number) {\n  const ofTeam = asTeam;\n  return { ofTeam, mostBytes };\n}\n';
  assert.deepEqual(found('a.ts', source), ['1 tellJob', '1 mostBytes', '2 ofTeam']);
});

test('Markdown is read without its code and link targets', () => {
  const page = 'It is `told`: [here](told.md).\n```sh\necho told\n```\nIt is told.\n';
  assert.deepEqual(found('docs/a.md', page), ['5 told']);
});

test('ordinary uses are left alone', () => {
  const source =
    "const a = 'no more than 3; comes to an end; the name is taken by another; no more jobs than slots';\n";
  assert.deepEqual(found('a.ts', source), []);
});
