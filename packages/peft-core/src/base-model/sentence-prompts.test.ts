import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { resolvePrompts } from '../config/index.ts';
import { objectiveFor } from '../objectives/objectives.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import {
  promptText,
  readSentencePrompts,
  type SentencePrompts,
  sentencePromptsName,
  trainedPrompts,
} from './sentence-prompts.ts';

const at = tempFolder();

async function read(content: unknown): Promise<SentencePrompts | null> {
  writeFileSync(at(sentencePromptsName), JSON.stringify(content));
  return await readSentencePrompts(at());
}

const pairs = objectiveFor('FEATURE_EXTRACTION', 'pairs');
const scored = objectiveFor('FEATURE_EXTRACTION', 'scored_pairs');
const e5 = { prompts: { query: 'query: ', passage: 'passage: ' }, defaultName: null };
const byDefault = { prompts: { sts: 'same: ', query: 'q: ' }, defaultName: 'sts' };

test('prompts of a model, and what is wrong with them', async () => {
  assert.equal(await readSentencePrompts(at('missing')), null);
  assert.equal(await read({ prompts: {}, default_prompt_name: null }), null);
  assert.deepEqual(await read({ prompts: e5.prompts, default_prompt_name: null }), e5);
  // sentence-transformers writes null for a name without a text.
  assert.deepEqual((await read({ prompts: { query: null } }))!.prompts, { query: '' });
  const refused = async (content: unknown, message: RegExp) =>
    await assert.rejects(read(content), { code: 'invalid_model', message });
  await refused({ prompts: ['query: '] }, /config_sentence_transformers\.json: prompts must be an object/);
  await refused({ prompts: { query: 7 } }, /prompts\.query must be a text of at most 2048 characters/);
  await refused({ prompts: { query: 'x'.repeat(2049) } }, /prompts\.query must be a text of at most 2048/);
  await refused({ prompts: e5.prompts, default_prompt_name: 'qeury' }, /default_prompt_name must be a name/);
  const many = Object.fromEntries(Array.from({ length: 257 }, (_, i) => [`p${i}`, '']));
  await refused({ prompts: many }, /prompts has 257 entries; the limit is 256/);
});

test('a prompt is found by its name, and the empty name is none', () => {
  assert.equal(promptText(e5, 'query'), 'query: ');
  assert.equal(promptText(e5, null), '');
  assert.equal(promptText(byDefault, null), 'same: ');
  assert.equal(promptText(byDefault, ''), '');
  assert.throws(() => promptText(e5, 'constructor'), { code: 'unknown_prompt', param: 'prompt_name' });
  assert.throws(() => promptText(null, 'query'), { message: 'the model has no prompt "query"; it has none' });
});

test('a job has the prompts of the model, of the adapter that it continues, or its own', () => {
  const of = (...args: Parameters<typeof resolvePrompts>) => {
    const { prompts, faults } = resolvePrompts(...args);
    return faults.length > 0 ? faults.map(({ path }) => path) : prompts;
  };
  const usual = { anchor: 'query: ', positive: 'passage: ', negative: 'passage: ' };
  assert.deepEqual(of({}, pairs, e5), usual);
  assert.deepEqual(of({}, pairs, byDefault), { anchor: 'q: ', positive: 'same: ', negative: 'same: ' });
  assert.deepEqual(of({}, scored, byDefault), { sentence1: 'same: ', sentence2: 'same: ' });
  assert.equal(of({}, scored, e5), undefined);
  assert.equal(of({}, pairs, null), undefined);
  assert.deepEqual(of({}, pairs, e5, { anchor: 'mine: ' }), { anchor: 'mine: ' });
  assert.equal(of({}, pairs, e5, {}), undefined);
  assert.deepEqual(of({ prompts: {} }, pairs, e5), {});
  assert.deepEqual(of({ prompts: { anchor: 'passage', positive: 'own: ' } }, pairs, e5), {
    anchor: 'passage: ',
    positive: 'own: ',
  });
  assert.deepEqual(of({ prompts: { anchor: 'pasage' } }, pairs, e5), ['training.prompts.anchor']);
  assert.deepEqual(of({ prompts: { sentence1: 'a: ' } }, pairs, e5), ['training.prompts.sentence1']);
  const labels = objectiveFor('SEQ_CLS', 'classification');
  assert.deepEqual(of({ prompts: { text: 'a: ' } }, labels, e5), ['training.prompts']);
});

test('an adapter has the prompts that it was trained with, under the names of the model', () => {
  const { promptColumns } = pairs;
  assert.deepEqual(trainedPrompts(e5, { anchor: 'q: ', positive: 'p: ' }, promptColumns!), {
    prompts: { query: 'q: ', passage: 'p: ' },
    defaultName: null,
  });
  assert.deepEqual(trainedPrompts(e5, {}, promptColumns!)!.prompts, { query: '', passage: '' });
  assert.deepEqual(trainedPrompts(null, { positive: 'p: ' }, promptColumns!)!.prompts, { document: 'p: ' });
  assert.equal(trainedPrompts(null, {}, promptColumns!), null);
  const same = { sentence1: 'same: ', sentence2: 'same: ' };
  assert.deepEqual(trainedPrompts(byDefault, same, scored.promptColumns!), byDefault);
  const prompts = { sentence1: 'x: ' };
  assert.deepEqual(trainedPrompts(null, prompts, scored.promptColumns!), { prompts, defaultName: null });
});
