import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { openBaseModel } from '../../base-model/open-base-model.ts';
import type { GraftError } from '../../errors.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import type { TokenizerFiles } from '../../text/index.ts';
import { PromptReader } from './prompt-reader.ts';

let folder: string;
let files: TokenizerFiles;
before(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'graft-prompts-'));
  await writeTinyModel(folder);
  const base = await openBaseModel(folder);
  files = base.tokenizerFiles;
  await base.close();
});
after(() => rm(folder, { recursive: true }));

const VOCABULARY = 260;
const wide = { context: 100_000, leading: 0 };
const owner = { team: 'a', weight: 1 };
/** A token of this tokenizer has one byte, or up to five if it is special. */
const long = (tokens: number) => 'ab'.repeat(tokens / 2);

test('a long prompt, read in the thread, has the tokens that it has when it is read at once', async (t) => {
  const reader = new PromptReader(files, VOCABULARY);
  t.after(() => reader.close());
  const text = `${long(5000)} ½東🙂</s>`;
  const ids = (of: Awaited<ReturnType<PromptReader['read']>>) => ('ids' in of ? [...of.ids] : of);
  const expected = [...reader.tokenizer.encode(text)];
  const prompt = { prompt: text, allowSpecialTokens: true };
  assert.deepEqual(ids(await reader.read(prompt, wide, owner)), expected);
  const plain = [...reader.tokenizer.encode(text, { specialTokens: 'none' })];
  assert.notDeepEqual(plain, expected);
  assert.deepEqual(ids(await reader.read({ prompt: text }, wide, owner)), plain);
  const chat = [
    { role: 'user', content: text },
    { role: 'assistant', content: '' },
  ];
  const rendered = reader.tokenizer.applyChatTemplate(chat, { addGenerationPrompt: true });
  const read = await reader.read({ messages: chat, allowSpecialTokens: true }, wide, owner);
  assert.deepEqual(ids(read), [...reader.tokenizer.encode(rendered, { addSpecialTokens: false })]);
});

test('a prompt may have as many tokens as leave one position for the answer', async (t) => {
  const reader = new PromptReader(files, VOCABULARY);
  t.after(() => reader.close());
  const limits = { context: 6000, leading: 7 };
  const tokensOf = async (prompt: string) => {
    const read = await reader.read({ prompt }, limits, owner);
    return 'ids' in read ? read.ids.length : { ...read.refusal, tokens: read.tokens };
  };
  assert.equal(await tokensOf('a'.repeat(5992)), 5992);
  const within = 'this model answers within 6000 for prompt and answer together';
  const code = 'context_length_exceeded';
  assert.deepEqual(await tokensOf('a'.repeat(5993)), {
    code,
    tokens: 5993,
    message: `the prompt has 5993 tokens and the adapter 7 virtual ones; ${within}`,
  });
  // At most five bytes per token.
  assert.deepEqual(await tokensOf('a'.repeat(900_000)), {
    code,
    tokens: 180_000,
    message: `the prompt has at least 180000 tokens and the adapter 7 virtual ones; ${within}`,
  });
  const stray = await reader.read({ prompt: `${long(5000)}</s>`, allowSpecialTokens: true }, limits, owner);
  assert.ok('ids' in stray);
  const few = new PromptReader(files, 200);
  t.after(() => few.close());
  const refused = await few.read({ prompt: `${long(5000)}</s>`, allowSpecialTokens: true }, limits, owner);
  assert.ok('refusal' in refused && refused.refusal.code === 'invalid_token_id' && refused.tokens === 5001);
});

test('teams take turns by the time that they use and by weight, and who leaves is not read', async (t) => {
  // Each reading takes one unit, as it asks for the time at its start and its end.
  let now = 0;
  const reader = new PromptReader(files, VOCABULARY, { now: () => (now += 0.5) });
  t.after(() => reader.close());
  const read: string[] = [];
  const ask = async (team: string, name: string, weight = 1, signal?: AbortSignal) => {
    await reader.read({ prompt: long(5000) }, wide, { team, weight }, signal);
    read.push(name);
  };
  const leaving = new AbortController();
  const many = ['a1', 'a2', 'a3', 'a4'].map((name) => ask('a', name));
  const left = ask('b', 'gone', 1, leaving.signal);
  const others = ['c1', 'c2', 'c3'].map((name) => ask('c', name, 2));
  leaving.abort(new Error('gone'));
  await assert.rejects(left, /gone/);
  await Promise.all([...many, ...others]);
  assert.deepEqual(read, ['a1', 'c1', 'a2', 'c2', 'a3', 'c3', 'a4']);
});

test('one that takes too long is refused, those after it are read, and none blocks this thread', async (t) => {
  const reader = new PromptReader(files, VOCABULARY, { readMilliseconds: 200 });
  t.after(() => reader.close());
  const stuck = new PromptReader({ ...files, chatTemplate: endless }, VOCABULARY, { readMilliseconds: 200 });
  t.after(() => stuck.close());
  const refused = stuck.read({ messages: many }, { context: 8000, leading: 0 }, owner);
  const next = stuck.read({ prompt: long(5000) }, wide, { team: 'b', weight: 1 });
  let turns = 0;
  const turn = setInterval(() => turns++, 10).unref();
  t.after(() => clearInterval(turn));
  const answer = await refused;
  assert.ok('refusal' in answer);
  assert.deepEqual([answer.refusal.code, answer.tokens], ['prompt_not_tokenized', 7999]);
  assert.match(answer.refusal.message, /^tokenising the prompt takes longer than 0.2 s; send a shorter one/);
  assert.ok(turns > 1, 'the event loop kept running');
  const after = await next;
  assert.ok('ids' in after && after.ids.length === 5000, 'by a new thread');
});

/** Ends after some seconds: every message adds steps that a template may take, so that time is the limit that it reaches. */
const endless =
  '{% for i in range(100000) %}{% for k in range(100000) %}{% for l in range(9) %}{% endfor %}{% endfor %}{% endfor %}';
const many = Array.from({ length: 4000 }, () => ({ role: 'user', content: 'a' }));

test("an own template does not delay the base model's long prompts", async (t) => {
  const reader = new PromptReader(files, VOCABULARY, { ownMilliseconds: 600_000 });
  t.after(() => reader.close());
  const prompt = { messages: Array.from({ length: 100 }, () => many).flat(), chatTemplate: endless };
  const own = reader.read(prompt, { context: 1e7, leading: 0 }, owner);
  const closes = assert.rejects(own, /the generator was closed/);
  const base = await reader.read({ prompt: long(5000) }, wide, { team: 'b', weight: 1 });
  assert.ok('ids' in base);
  await reader.close();
  await closes;
});

test('an own template that takes too long is tried twice, and then refused unread', async (t) => {
  const reader = new PromptReader(files, VOCABULARY, { ownMilliseconds: 200 });
  t.after(() => reader.close());
  const own = (team: string, chatTemplate: string) =>
    reader.read({ messages: many, chatTemplate }, wide, { team, weight: 1 });
  const isRefused = (error: unknown) => {
    const { code, param, fault, message } = error as GraftError;
    assert.deepEqual([code, param, fault], ['adapter_template_failed', 'model', 'user']);
    assert.match(
      message,
      /takes more than 0\.2 s of processor time, .* refused for 5 minutes; use another version/,
    );
    return true;
  };
  await assert.rejects(own('a', endless), isRefused);
  assert.equal(reader.ownReads, 2);
  await assert.rejects(own('c', endless), isRefused);
  assert.equal(reader.ownReads, 2);
  const fine = await own('a', '{{ messages[0].content }}');
  assert.ok('ids' in fine);
  assert.equal(reader.ownReads, 3);
});

test("a budget that an adapter's own template exceeds is its fault, not that of the base model's files", async (t) => {
  const reader = new PromptReader(files, VOCABULARY);
  t.after(() => reader.close());
  const prompt = { messages: [{ role: 'user', content: 'a' }], chatTemplate: endless };
  await assert.rejects(
    reader.read(prompt, wide, owner),
    /^GraftError: the adapter's own chat template takes more than \d+ steps/,
  );
});

test('what waits when the reader closes is refused', async () => {
  const reader = new PromptReader(files, VOCABULARY);
  const waiting = [1, 2, 3].map(() => reader.read({ prompt: long(5000) }, wide, owner));
  const refusals = Promise.all(waiting.map((each) => assert.rejects(each, /the generator was closed/)));
  await reader.close();
  await refusals;
  await assert.rejects(reader.read({ prompt: long(5000) }, wide, owner), /closed/);
});
