import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConstraintFormat } from '../../chat/tool-styles/tool-style.ts';
import { GraftError } from '../../errors.ts';
import { byteTokenizer } from '../../testing/tiny-model.ts';
import { packTokenizer } from '../../text/packed-tokenizer.ts';
import { ThreadTimeout } from '../../threads/thread.ts';
import { AnswerConstraints } from './answer-constraints.ts';
import { GrammarHost } from './grammar-host.ts';
import { grammarVocabulary } from './grammar-vocabulary.ts';

/** The bytes, four special tokens, and texts of 2 to `LONGEST` times "a": a mask follows each token to its end. */
const LONGEST = 60;
const SIZE = 260 + LONGEST - 1;
const END = 257;
const files = { tokenizerJson: tokenizerWithLongTokens(), tokenizerConfig: null, chatTemplate: null };
const owner = { team: 'a', weight: 1 };
const jsonOf = (json_schema: Record<string, unknown>): ConstraintFormat => ({
  type: 'json_schema',
  json_schema,
});
const request = (schema: Record<string, unknown>) => ({
  format: jsonOf(schema),
  param: 'response_format',
  ends: new Set([END]),
});

/** The tokens of a mask. */
const tokensOf = (mask: Int32Array): number[] =>
  Array.from({ length: SIZE }, (_, token) => token).filter(
    (token) => (mask[token >> 5]! >> (token & 31)) & 1,
  );

type Constraint = Awaited<ReturnType<AnswerConstraints['start']>>;
async function maskOf(constraint: Constraint): Promise<Int32Array> {
  for (;;) {
    const mask = constraint.mask(20);
    if (mask) return mask;
    await constraint.ready();
  }
}

/** Takes the first allowed token until only the end is allowed. */
async function follow(constraint: Constraint, steps = 100): Promise<string> {
  const taken: number[] = [];
  while (taken.length < steps) {
    const allowed = tokensOf(await maskOf(constraint));
    assert.ok(allowed.length > 0);
    if (allowed[0] === END) break;
    taken.push(allowed[0]!);
    constraint.accept(allowed[0]!);
  }
  return Buffer.from(taken).toString();
}

test('an answer that breaks its grammar fails alone: the others continue where they were', async () => {
  const constraints = new AnswerConstraints(files, SIZE, []);
  try {
    const [bad, good] = await Promise.all([
      constraints.start(request({ const: 'bad' }), owner),
      constraints.start(request({ const: 'a longer text' }), owner),
    ]);
    assert.equal(await follow(good, 5), '"a lo');
    await maskOf(bad);
    // No grammar of JSON allows this token, so the library fails.
    bad.accept(0);
    await assert.rejects(
      maskOf(bad),
      (error) => error instanceof GraftError && error.code === 'constraint_failed',
    );
    assert.equal(await follow(good), 'nger text"');
    good.close();
    const next = await constraints.start(request({ enum: [true] }), owner);
    assert.equal(await follow(next), 'true');
  } finally {
    await constraints.close();
  }
});

/** Milliseconds of processor time that no call exceeds, so that only what a test sets is exceeded. */
const ample = 600_000;
const ampleCalls = { openMilliseconds: ample, maskMilliseconds: ample };
const constant = (value: string): ConstraintFormat => ({ type: 'const_string', value });
const repeated = (content: ConstraintFormat): ConstraintFormat => ({
  type: 'calls',
  tags: [{ type: 'tag', begin: '', content, end: '' }],
  separator: '',
  several: true,
});
const several: ConstraintFormat = {
  type: 'or',
  elements: Array.from({ length: 10 }, (_, i) => constant('a'.repeat(i))),
};
/** After the quotation mark, a mask takes some 250 milliseconds: `((a{0,9}){60})+)+`, which no schema's grammar has. */
const ambiguous = repeated(
  repeated({ type: 'sequence', elements: Array<ConstraintFormat>(60).fill(several) }),
);
const slowMasks = {
  ...request({}),
  format: { type: 'sequence', elements: [constant('"'), ambiguous] } satisfies ConstraintFormat,
};
const A = 'a'.charCodeAt(0);

test('a grammar that takes too long is refused, the second time without compiling', async () => {
  const constraints = new AnswerConstraints(files, SIZE, [], { compileShort: 1, compileLong: 1 });
  try {
    const slow = request({ type: 'string', maxLength: 4000 });
    for (let i = 0; i < 2; i++)
      await assert.rejects(constraints.start(slow, owner), (error) => {
        assert.ok(
          error instanceof GraftError && error.code === 'invalid_schema' && error.param === 'response_format',
        );
        assert.match(error.message, /takes more than 0\.001 s of processor time/);
        return true;
      });
  } finally {
    await constraints.close();
  }
  await assert.rejects(constraints.start(request({ const: 1 }), owner), /closed/);
});

test('on a thread, teams take turns by the time that they use: one with slow masks waits for another', async () => {
  const host = new GrammarHost(vocabulary, { ...ampleCalls, yields: false });
  try {
    const order: string[] = [];
    const slow = await open(host, slowMasks.format, 'slow', (milliseconds) =>
      order.push(`slow ${milliseconds}`),
    );
    const calm = await open(host, jsonOf({ type: 'string' }), 'calm', () => order.push('calm'));
    await slow.accept(34);
    await calm.accept(34);
    order.length = 0;
    // All at once: the slow team has used more, so all of the calm team's calls are before its second one.
    await Promise.all([slow, slow, calm, calm, calm, calm].map((each) => each.accept(A)));
    const last = order.findLastIndex((each) => each.startsWith('slow'));
    const between = order.slice(0, last).filter((each) => each.startsWith('slow')).length;
    assert.equal(order.filter((each) => each === 'calm').length, 4, order.join());
    assert.ok(between <= 1 && order.indexOf('calm', last) === -1, order.join());
  } finally {
    await host.close();
  }
});

test('a call beyond its limit fails its answer alone, and the others start again where they were', async () => {
  const host = new GrammarHost(vocabulary, { openMilliseconds: ample, maskMilliseconds: 40, yields: false });
  try {
    const slow = await open(host, slowMasks.format, 'slow');
    const calm = await open(host, jsonOf({ type: 'string' }), 'calm');
    await calm.accept(34);
    await assert.rejects(slow.accept(34), ThreadTimeout);
    for (let i = 0; i < 3; i++) await calm.accept(A);
    assert.equal(calm.version(), 5);
  } finally {
    await host.close();
  }
});

test('an answer with a slow mask moves to the slow thread, the next with its grammar starts there, and a call beyond the limit there refuses the grammar', async () => {
  const limits = {
    quickMask: 100,
    quick: ampleCalls,
    slow: { openMilliseconds: ample, maskMilliseconds: 40 },
  };
  const constraints = new AnswerConstraints(files, SIZE, [], {
    ...limits,
    compileShort: ample,
    quickCompile: ample,
    answer: ample,
  });
  try {
    const answer = await constraints.start(slowMasks, owner);
    assert.equal(answer.isSlow, false);
    await maskOf(answer);
    answer.accept(34);
    while (!answer.isSlow) await new Promise((resolve) => setTimeout(resolve, 5));
    const again = await constraints.start(slowMasks, owner);
    assert.equal(again.isSlow, true);
    again.close();
    // The first mask on a thread belongs to the start.
    await maskOf(answer);
    answer.accept(A);
    await assert.rejects(
      maskOf(answer),
      (error) => error instanceof GraftError && error.code === 'constraint_failed',
    );
    await assert.rejects(constraints.start(slowMasks, owner), /takes too long .* \(it exceeded its limit/);
    // Not for another team, nor another grammar, whose answers now start on the slow thread.
    const other = await constraints.start(slowMasks, { team: 'b', weight: 1 });
    const fine = await constraints.start(request({ const: 1 }), owner);
    assert.deepEqual([other.isSlow, fine.isSlow], [true, true]);
    assert.equal(await follow(fine), '1');
  } finally {
    await constraints.close();
  }
});

test('an answer that uses more than all of its masks may fails, and its team may try again', async () => {
  // Below any time that is measured, which may be 0.
  const constraints = new AnswerConstraints(files, SIZE, [], { answer: -1 });
  try {
    const first = await constraints.start(request({ const: 1 }), owner);
    await assert.rejects(follow(first), /takes too long to apply to answers; use a simpler one/);
    await constraints.start(request({ const: 1 }), owner);
  } finally {
    await constraints.close();
  }
});

function tokenizerWithLongTokens(): Record<string, unknown> {
  const tokenizer = byteTokenizer();
  const { vocab } = tokenizer.model as { vocab: Record<string, number> };
  for (let length = 2; length <= LONGEST; length++) vocab['a'.repeat(length)] = 258 + length;
  return tokenizer;
}

const vocabulary = { json: packTokenizer(files).json, size: SIZE, marks: [] };

/** An answer on a host, whose calls can be awaited. */
async function open(
  host: GrammarHost,
  format: ConstraintFormat,
  team: string,
  onCall: (milliseconds: number) => void = () => {},
) {
  const [mask, version] = [Math.ceil(SIZE / 32), 1].map(
    (length) => new Int32Array(new SharedArrayBuffer(4 * length)),
  );
  const waiting: { resolve(): void; reject(reason: unknown): void }[] = [];
  const next = () => new Promise<void>((resolve, reject) => void waiting.push({ resolve, reject }));
  const opened = next();
  const answer = { owner: { team, weight: 1 }, format, ends: [END], mask: mask!, version: version! };
  const id = host.start(answer, {
    onMask(milliseconds) {
      onCall(milliseconds);
      waiting.shift()?.resolve();
    },
    onFail: (reason) => waiting.shift()?.reject(reason),
  });
  await opened;
  return {
    async accept(token: number) {
      const called = next();
      host.accept(id, token);
      await called;
    },
    version: () => version![0],
  };
}

test('vocabularies: special tokens are allowed only as marks', () => {
  const { tokens, kind } = grammarVocabulary(files, SIZE, ['<s>']);
  assert.equal(kind, 'byte_level');
  assert.deepEqual(tokens.slice(256, 260), ['<s>', '', '', '']);
  assert.equal(tokens[65], 'A');
  const pieces = {
    model: {
      vocab: [
        ['▁a', -1],
        ['<0x0A>', -2],
      ],
    },
    decoder: { type: 'Metaspace' },
  };
  assert.deepEqual(grammarVocabulary({ tokenizerJson: pieces }, 3, []), {
    tokens: ['▁a', '<0x0A>', ''],
    kind: 'byte_fallback',
  });
  const words = { model: { vocab: { a: 0, b: 5 } }, decoder: { type: 'WordPiece' } };
  assert.deepEqual(grammarVocabulary({ tokenizerJson: words }, 2, []), { tokens: ['a', ''], kind: 'raw' });
});
