import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { createJsonlChecker, parseJsonl } from './jsonl.ts';

const good = '{"messages":[{"role":"user","content":"Größe?"},{"role":"assistant","content":"M"}]}';

function failure(lines: string[] | Uint8Array): GraftError {
  try {
    parseJsonl(lines);
  } catch (error) {
    return error as GraftError;
  }
  assert.fail('was accepted');
}
const faultOf = (line: string) => failure([line]).details?.[0]?.message ?? '';

test('formats of language models, and other columns are left alone', () => {
  assert.deepEqual(parseJsonl([good]).examples, [
    {
      format: 'chat',
      line: 1,
      messages: [
        { role: 'user', content: 'Größe?' },
        { role: 'assistant', content: 'M' },
      ],
    },
  ]);
  assert.deepEqual(parseJsonl(['{"prompt":"","completion":"b","id":3}']).examples, [
    { format: 'prompt_completion', line: 1, prompt: '', completion: 'b' },
  ]);
  assert.deepEqual(parseJsonl(['{"text":"a"}']), {
    format: 'text',
    examples: [{ format: 'text', line: 1, text: 'a' }],
    answerCharacters: 1,
    skipped: null,
    systemPrompt: null,
    unread: [],
  });
});

test('the system message that every example begins with is found, and no other', () => {
  const chat = (...systems: string[]) =>
    JSON.stringify({
      messages: [
        ...systems.map((content) => ({ role: 'system', content })),
        { role: 'user', content: 'a' },
        { role: 'assistant', content: 'b' },
      ],
    });
  const promptOf = (...lines: string[]) => parseJsonl(lines).systemPrompt;
  assert.equal(promptOf(chat('Sort it.'), chat('Sort it.')), 'Sort it.');
  assert.equal(promptOf(chat('Sort it.'), chat('Sort it!'), chat('Sort it.')), null);
  assert.equal(promptOf(chat('Sort it.'), chat()), null);
  assert.equal(promptOf(chat(), chat('Sort it.')), null);
  assert.equal(promptOf(chat('')), null);
  assert.equal(promptOf('{"text":"a"}'), null);
  const longest = 'x'.repeat(16_384);
  assert.equal(promptOf(chat(longest)), longest);
  assert.equal(promptOf(chat(`${longest}x`)), null);
  // Postgres cannot store U+0000.
  assert.equal(promptOf(chat('a\0b')), null);
});

test('what a language model learns to write is counted, and nothing else', () => {
  const turns = [
    { role: 'system', content: 'Be brief.' },
    { role: 'user', content: 'a?' },
    { role: 'assistant', content: 'not trained on', weight: 0 },
    { role: 'user', content: 'b?' },
    { role: 'assistant', content: 'four' },
    { role: 'user', content: 'c?' },
    { role: 'assistant', content: 'three', weight: 1 },
  ];
  const cases: [line: object, characters: number][] = [
    [{ messages: turns }, 9],
    [{ prompt: 'a longer one', completion: 'two' }, 3],
    [{ text: 'all of it' }, 9],
    [{ text: 'a text', target: 'its' }, 3],
    [{ text: 'a text', label: 'good' }, 0],
    [{ tokens: ['a'], labels: ['X'] }, 0],
    [{ anchor: 'a', positive: 'b' }, 0],
    [{ sentence1: 'a', sentence2: 'b', score: 1 }, 0],
  ];
  for (const [line, characters] of cases) {
    const text = JSON.stringify(line);
    assert.equal(parseJsonl([text, text]).answerCharacters, 2 * characters, text);
  }
});

test('formats of classifiers and of embeddings', () => {
  const only = (line: string) => parseJsonl([line]).examples[0];
  const classified = { format: 'classification', line: 1, text: 'a' };
  assert.deepEqual(only('{"text":"a","label":"good"}'), { ...classified, label: 'good' });
  assert.deepEqual(only('{"text":"a","label":0}'), { ...classified, label: 0 });
  assert.deepEqual(only('{"text":"a","labels":["X","Y"]}'), {
    format: 'multi_label_classification',
    line: 1,
    text: 'a',
    labels: ['X', 'Y'],
  });
  assert.deepEqual(only('{"tokens":["a","b"],"labels":["X",-100]}'), {
    format: 'token_classification',
    line: 1,
    words: ['a', 'b'],
    labels: ['X', null],
  });
  const pair = { format: 'pairs', line: 1 };
  assert.deepEqual(only('{"anchor":"a","positive":"b"}'), { ...pair, texts: ['a', 'b'] });
  assert.deepEqual(only('{"text_a":"a","positive":"b","negative":"c"}'), { ...pair, texts: ['a', 'b', 'c'] });
  assert.deepEqual(only('{"sentence1":"a","sentence2":"b","score":0.5}'), {
    format: 'scored_pairs',
    line: 1,
    texts: ['a', 'b'],
    score: 0.5,
  });
});

test('what is wrong with a labelled line is said', () => {
  assert.match(
    faultOf('{"text":"a","label":1.5}'),
    /"label" must be a name of at most 256 characters or a whole number from 0, got 1.5/,
  );
  const long = 'x'.repeat(257);
  assert.match(faultOf(`{"text":"a","label":"${long}"}`), /"label" must be a name of at most 256 characters/);
  assert.match(faultOf(`{"text":"a","labels":["${long}"]}`), /labels\[0\] must be a name of at most 256/);
  assert.match(faultOf(`{"tokens":["a"],"labels":["${long}"]}`), /labels\[0\] must be a name of at most 256/);
  assert.match(faultOf('{"text":"a","label":-100}'), /"label" must be/);
  assert.match(faultOf('{"text":"a","label":""}'), /"label" must be/);
  assert.match(faultOf('{"label":1}'), /"text" must be a string, got undefined/);
  assert.match(faultOf('{"text":"a","labels":"X"}'), /"labels" must be a list of the labels/);
  assert.match(faultOf('{"text":"a","labels":["X",""]}'), /labels\[1\] must be a name/);
  assert.match(faultOf('{"text":"a","labels":[0,1,0]}'), /"labels" has 0 twice/);
  assert.match(faultOf('{"text":"a","label":"X","labels":["X"]}'), /has both "labels" and "label"/);
  assert.match(faultOf('{"tokens":[],"labels":[]}'), /"tokens" must be a list of at least one word/);
  assert.match(faultOf('{"tokens":["a","b"],"labels":["X"]}'), /"labels" must be a list of 2 labels/);
  assert.match(faultOf('{"tokens":["a",""],"labels":["X","X"]}'), /tokens\[1\] must be a word, got ""/);
  assert.match(faultOf('{"tokens":["a"],"labels":[null]}'), /labels\[0\] must be a name of .* got null/);
  assert.match(faultOf('{"tokens":["a"],"labels":[-100]}'), /has no label to learn/);
  assert.match(faultOf('{"anchor":"a"}'), /"positive" must be a string/);
  assert.match(faultOf('{"anchor":"a","text_a":"a","positive":"b"}'), /which mean the same/);
  assert.match(faultOf('{"anchor":"a","positive":"b","negative":1}'), /"negative" must be a string/);
  assert.match(
    faultOf('{"sentence1":"a","sentence2":"b","score":4}'),
    /"score" must be a number from -1 to 1/,
  );
  assert.match(faultOf('{"text":"a","label":1,"tokens":["a"]}'), /several kinds of example/);
});

test('a byte order mark, blank lines, \\r\\n and a missing last newline are all right', () => {
  const file = Buffer.from(`\uFEFF{"text":"a"}\r\n\r\n  \n{"text":"b"}`);
  assert.deepEqual(
    parseJsonl(file).examples.map(({ line }) => line),
    [1, 4],
  );
});

test('every bad line is reported with its number', () => {
  const error = failure([good, '{"messages":', good, '[1]', '{"text":"x"}', '{}']);
  assert.equal(error.code, 'invalid_jsonl');
  assert.deepEqual(
    error.details?.map(({ line }) => line),
    [2, 4, 5, 6],
  );
  assert.match(
    error.message,
    /^line 2 is not valid JSON.*; line 4 must be a JSON object.*; line 5 is a text example.*; line 6 holds no example/,
  );
  assert.match(error.details?.[2]?.message ?? '', /is a text example, but line 1 is a chat example/);
});

test('what is wrong with a line is said', () => {
  assert.match(faultOf('{"prompt":"a"}'), /"completion" must be a string, got undefined/);
  assert.match(faultOf('{"completion":"a"}'), /"prompt" must be a string/);
  assert.match(faultOf('{"prompt":"a","completion":""}'), /"completion" is empty/);
  assert.match(faultOf('{"text":""}'), /"text" is empty/);
  assert.match(faultOf('{"text":"a","prompt":"b","completion":"c"}'), /several kinds/);
  assert.match(
    failure(['{"id":1}', '{"text":""}']).message,
    /^line 1 holds no example; give "messages", or "prompt" and "completion" \(with a "label" true or false to judge it\), or "prompt", "chosen" and "rejected", or /,
  );
  assert.match(faultOf('{"input":{},"preferred_output":[]}'), /"input" must be \{"messages": \[…\]\}/);
  assert.match(
    faultOf('{"messages":[],"functions":[]}'),
    /functions, which "tools" replaced, is not supported/,
  );
  assert.match(faultOf('{"messages":[]}'), /at least one message/);
  assert.match(faultOf('{"messages":[{"role":"user","content":"a"}]}'), /no assistant message to train on/);
});

test('what is wrong with a message is said', () => {
  const message = (fields: string) => faultOf(`{"messages":[{"role":"user","content":"a"},{${fields}}]}`);
  assert.match(message('"role":"robot","content":"a"'), /messages\[1\] has role "robot"; roles are/);
  assert.match(
    message('"role":"assistant","content":null'),
    /has content null; without tool_calls it must be a string/,
  );
  assert.match(message('"role":"assistant","content":""'), /is an empty assistant message/);
  assert.match(
    message('"role":"assistant","content":"a","weight":-0.5'),
    /has weight -0.5; it must be a number from 0 to 10/,
  );
  assert.match(message('"role":"user","content":"a","weight":1'), /only assistant messages do/);
  assert.match(message('"role":"assistant","content":"a","wieght":0'), /did you mean "weight"/);
  assert.match(message('"role":"assistant","content":"a","function_call":{}'), /which "tool_calls" replaced/);
  assert.match(message('"role":"assistant","content":"a","weight":0'), /no assistant message to train on/);
});

test('broken UTF-8 is a bad line, and the next line is read', () => {
  const file = Buffer.concat([
    Buffer.from('{"text":"a'),
    Buffer.from([0xc3, 0x28]),
    Buffer.from('"}\n{"text":"b"}\n{'),
  ]);
  const error = failure(file);
  assert.deepEqual(
    error.details?.map(({ line }) => line),
    [1, 3],
  );
  assert.match(error.details?.[0]?.message ?? '', /UTF-8/);
});

test('lines with the same fault are one entry, whatever numbers and texts it quotes', () => {
  const error = failure([
    '{',
    good,
    ...Array(247).fill('{"a":'),
    '{"b"',
    good,
    '[]',
    '{"text":5}',
    '{"text":6}',
  ]);
  assert.deepEqual(
    error.details?.map(({ line, count, lines }) => [line, count ?? 1, lines ?? []]),
    [
      [1, 249, [[1, 1], [3, 250]]], // biome-ignore format: a table
      [252, 1, []],
      [253, 2, [[253, 254]]],
    ],
  );
  assert.match(error.message, /\(the same fault in lines 3-250\); .*: 252 bad lines in all$/);
});

test('an empty file is an error', () => {
  assert.equal(failure([]).code, 'empty_file');
  assert.equal(failure(['', '  ']).code, 'empty_file');
});

test('the checker gives the same answer however the bytes are cut', () => {
  const file = Buffer.from(`${good}\n${good}\r\n\n${good}`);
  for (let size = 1; size < 40; size++) {
    const checker = createJsonlChecker();
    for (let at = 0; at < file.length; at += size) checker.write(file.subarray(at, at + size));
    assert.deepEqual(checker.end(), {
      format: 'chat',
      examples: 3,
      answerCharacters: 3,
      skipped: null,
      systemPrompt: null,
      unread: [],
    });
  }
});

test('an endless line is refused without being held', () => {
  const chunk = Buffer.alloc(1024 * 1024, 'x');
  const checker = createJsonlChecker();
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 64; i++) checker.write(chunk);
  assert.ok(process.memoryUsage().arrayBuffers - before < 16 * 1024 * 1024);
  checker.write(Buffer.from('\n{"text":"a"}'));
  assert.throws(
    () => checker.end(),
    (error: GraftError) =>
      error.details?.length === 1 && /line 1 is longer than 4194304 bytes/.test(error.message),
  );
});

test('what is wrong with a line is said by its place, and quotes nothing of it', () => {
  for (const line of [
    '{"text": "a"} secret',
    '{"text": secret}',
    '{"text": "secret}',
    'secret',
    '{"text": "secret\\x"}',
  ]) {
    const message = faultOf(line) ?? '';
    assert.match(message, /is not valid JSON: .* at position \d+/);
    assert.doesNotMatch(message, /secret|"/, line);
  }
});

test('deeply nested JSON does not overflow the stack', () => {
  const deep = '['.repeat(1_000_000);
  assert.match(faultOf(`{"text":${deep}`), /deeper than 64/);
  assert.match(faultOf(`{"text":${deep}${']'.repeat(1_000_000)}}`), /deeper than 64/);
  assert.match(faultOf(`{"text":${'['.repeat(5000)}${']'.repeat(5000)}}`), /"text" must be a string/);
});
