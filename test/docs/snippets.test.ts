import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Placeholders, readSnippets } from './snippets.ts';

const page = [
  '# Page',
  '```sh',
  'graft whoami',
  '```',
  '<!-- docs:check skip: needs a GPU -->',
  '',
  '  ```python',
  '  import torch',
  '    x',
  '  ```',
  '```json',
  '{}',
  '```',
].join('\n');

test('blocks of shell and Python are read with their lines, indentation and reasons', () => {
  assert.deepEqual(readSnippets('a.md', page), [
    { page: 'a.md', line: 3, language: 'sh', code: 'graft whoami', skip: null },
    { page: 'a.md', line: 8, language: 'python', code: 'import torch\n  x', skip: 'needs a GPU' },
  ]);
});

test('a marker that skips nothing is a fault', () => {
  const marker = '<!-- docs:check skip: no reason -->';
  assert.throws(() => readSnippets('a.md', `${marker}\ntext`), /a\.md:2: a marker must be/);
  assert.throws(
    () => readSnippets('a.md', `${marker}\n\`\`\`json\n{}\n\`\`\``),
    /a\.md:4: a marker precedes/,
  );
});

test('placeholders are the last words with their prefix', () => {
  const placeholders = new Placeholders({
    'http://127.0.0.1:8000': 'http://127.0.0.1:4321',
    'graft_…': 'key',
  });
  placeholders.learn('created ftjob-1 and {"id":"ftjob-2"}.');
  placeholders.learn('ft:base:team:bikes:7, then ft:base:team:bikes:7:ckpt-step-9.');
  assert.equal(
    placeholders.fill('watch ftjob-…; chat ft:…:ckpt-step-9 ft:base:… graft_… http://127.0.0.1:8000/v1'),
    'watch ftjob-2; chat ft:base:team:bikes:7:ckpt-step-9 ft:base:team:bikes:7 key http://127.0.0.1:4321/v1',
  );
  assert.throws(() => placeholders.fill('file-…'), /no earlier snippet printed a word for file-…/);
});
