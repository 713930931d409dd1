/** Runs every shell and Python snippet of README.md and docs/ against a real Graft: `npm run docs:check`. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDocs, listSnippets, type Outcome } from './check-docs.ts';

const snippets = listSnippets();

test('README and docs have snippets that run', () => {
  assert.ok(snippets.filter(({ skip }) => skip === null).length >= 40);
});

test('every snippet exits with 0', async (t) => {
  const outcomes: Outcome[] = [];
  await checkDocs(snippets, (outcome) => outcomes.push(outcome));
  for (const { snippet, fault } of outcomes) {
    const place = `${snippet.page}:${snippet.line}`;
    if (snippet.skip !== null) t.diagnostic(`${place} is skipped: ${snippet.skip}`);
    else await t.test(place, () => assert.equal(fault, null, fault ?? ''));
  }
});
