import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConstraintFormat } from '../../chat/tool-styles/tool-style.ts';
import { GraftError } from '../../errors.ts';
import { byteTokenizer } from '../../testing/tiny-model.ts';
import { AnswerConstraints } from './answer-constraints.ts';
import { grammarVocabulary } from './grammar-vocabulary.ts';

const SIZE = 260;
const END = 257;
const files = { tokenizerJson: byteTokenizer(), tokenizerConfig: null, chatTemplate: null };
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

test('a grammar that takes too long is refused, and does not stop another team for longer', async () => {
  const constraints = new AnswerConstraints(files, SIZE, [], { compileMilliseconds: 1 });
  try {
    const slow = request({ type: 'string', maxLength: 4000 });
    await assert.rejects(constraints.start(slow, owner), (error) => {
      assert.ok(
        error instanceof GraftError && error.code === 'invalid_schema' && error.param === 'response_format',
      );
      assert.match(error.message, /takes longer than 0\.001 s/);
      return true;
    });
  } finally {
    await constraints.close();
  }
  await assert.rejects(constraints.start(request({ const: 1 }), owner), /closed/);
});

test('vocabularies: special tokens are allowed only as marks', () => {
  const { tokens, kind } = grammarVocabulary(files, SIZE, ['<s>']);
  assert.equal(kind, 'byte_level');
  assert.deepEqual(tokens.slice(256), ['<s>', '', '', '']);
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
