/** The graph draws the same tokens as sampling.ts from the same logits with the same random numbers. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgramBuilder } from '@graft/tf-graph';
import { Random } from '../../random.ts';
import { adjusted, LogitChanges } from '../sampling/adjust-logits.ts';
import { penalised, sampleToken } from '../sampling/sampling.ts';
import {
  CANDIDATES,
  chosenTokens,
  modeOf,
  NOT_FINITE,
  samplerFeeds,
  samplerInputs,
  type TokenAsk,
  WIDE,
} from './graph-sampler.ts';

const SEEN = 8;

function choose(
  logits: Float32Array[],
  asks: TokenAsk[],
  candidates = CANDIDATES,
  likely: number | null = null,
) {
  const vocabulary = logits[0]!.length;
  const mode = modeOf(asks, vocabulary);
  const seen = asks.some(({ repetitionPenalty }) => repetitionPenalty !== 1) ? SEEN : 0;
  const builder = new ProgramBuilder();
  const given = { shape: [asks.length, vocabulary], dtype: 'float32' } as const;
  const adjusted = asks.some(({ added }) => added) ? vocabulary : 0;
  const inputs = { logits: given, ...samplerInputs(asks.length, mode, seen, adjusted) };
  const fn = builder.function('choose', inputs, ({ logits, ...rest }) =>
    chosenTokens(logits, rest, { mode, candidates, likely }),
  );
  const program = builder.build();
  const all = new Float32Array(asks.length * vocabulary);
  for (const [i, row] of logits.entries()) all.set(row, i * vocabulary);
  const found = program.run(fn, { logits: all, ...samplerFeeds(asks, asks.length, mode, seen, adjusted) });
  program.close();
  return found;
}

const plain = { temperature: 0, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1, logprobs: null };
const ways = [
  {},
  { temperature: 1 },
  { temperature: 0.7 },
  { temperature: 1.3, minP: 0.05 },
  { temperature: 1, topK: 5 },
  { temperature: 1, topK: 300 },
  { temperature: 0.9, topP: 0.8 },
  { temperature: 0.3, topP: 0.95, topK: 20, minP: 0.02 },
  { temperature: 1, topP: 0.9, repetitionPenalty: 1.3 },
  { repetitionPenalty: 2 },
  { temperature: 2, topP: 0.01 },
  { temperature: 0.01 },
];

for (const vocabulary of [40, 5000])
  test(`the tokens of sampling.ts, from ${vocabulary} logits, many of them equal`, () => {
    const random = new Random(3, 'test', vocabulary);
    for (let round = 0; round < 20; round++) {
      // A narrow and a wide distribution, in steps of an eighth, so that some logits are equal.
      const logits = ways.map(() =>
        Float32Array.from({ length: vocabulary }, () =>
          round % 2 === 0 ? Math.round(8 * 3 * random.normal()) / 8 : 4 * random.normal(),
        ),
      );
      const asks = ways.map((way) => ({
        ...plain,
        ...way,
        uniform: random.uniform(),
        ids: Array.from({ length: SEEN }, (_, i) => (i === 0 ? -1 : random.integer(vocabulary))),
      }));
      const found = choose(logits, asks).tokens.data;
      const exact = choose(logits, asks, vocabulary).tokens.data;
      for (const [i, ask] of asks.entries()) {
        const own = penalised(logits[i]!, ask.ids, ask.repetitionPenalty);
        const expected = sampleToken(own, ask, ask.uniform);
        assert.equal(exact[i], expected, `round ${round}, ${JSON.stringify(ways[i])}`);
        const tooMany = vocabulary > 300 && ask.topK === 300;
        if (tooMany) assert.equal(found[i], WIDE);
        else if (found[i] !== WIDE) assert.equal(found[i], expected);
        else assert.ok(ask.topP < 1 && vocabulary > CANDIDATES, JSON.stringify(ways[i]));
      }
    }
  });

test('a nucleus wider than the sorted candidates is distinguished from one that just fits', () => {
  const logits = new Float32Array(1000).fill(-20).fill(1, 0, CANDIDATES);
  const ask = { ...plain, temperature: 1, topP: 0.99, uniform: 0.5, ids: [] };
  const fitting = choose([logits], [ask]).tokens.data[0]!;
  assert.equal(fitting, sampleToken(logits, ask, 0.5));
  assert.equal(choose([logits.with(CANDIDATES, 1)], [{ ...ask, topP: 0.999 }]).tokens.data[0], WIDE);
});

test('logits that are not finite are reported, beside others', () => {
  for (const bad of [NaN, Infinity, -Infinity])
    for (const way of ways) {
      const good = Float32Array.from({ length: 30 }, (_, i) => Math.sin(i));
      const asks = [0, 1].map((uniform) => ({ ...plain, ...way, uniform: uniform / 2, ids: [3] }));
      const [first, second] = choose([good.with(17, bad), good], asks, 30, 2).tokens.data;
      assert.equal(first, NOT_FINITE, JSON.stringify(way));
      assert.equal(second, sampleToken(penalised(good, [3], asks[1]!.repetitionPenalty), asks[1]!, 0.5));
    }
});

test('log-probabilities are of the logits before all sampling options', () => {
  const logits = Float32Array.from({ length: 50 }, (_, i) => 5 * Math.cos(i * i));
  const ask = { ...plain, temperature: 0.5, uniform: 0.9, repetitionPenalty: 1.5, ids: [7, 9] };
  const { tokens, logprobs, topIds, topLogprobs } = choose([logits], [ask], 50, 3);
  const total = Math.log(logits.reduce((sum, x) => sum + Math.exp(x), 0));
  const near = (found: number, id: number) => assert.ok(Math.abs(found - (logits[id]! - total)) < 1e-6);
  near(logprobs!.data[0]!, tokens.data[0]!);
  const order = [...logits.keys()].sort((a, b) => logits[b]! - logits[a]!);
  assert.deepEqual([...topIds!.data], order.slice(0, 3));
  for (const [i, id] of order.slice(0, 3).entries()) near(topLogprobs!.data[i]!, id);
});

test('logits with biases, penalties and masks, beside others without', () => {
  const random = new Random(4, 'test', 1);
  const vocabulary = 100;
  for (let round = 0; round < 20; round++) {
    const logits = ways.map(() => Float32Array.from({ length: vocabulary }, () => 3 * random.normal()));
    const asks = ways.map((way, i) => {
      const bias = new Map([[random.integer(vocabulary), 4 * random.normal()]]);
      const changes = new LogitChanges({ bias, frequencyPenalty: 0.7, presencePenalty: -0.3 });
      for (let n = 0; n < 30; n++) changes.count(random.integer(vocabulary));
      const mask = Int32Array.from({ length: 4 }, () => 1 << random.integer(32));
      const added = i % 3 === 2 ? null : changes.added(vocabulary, i % 3 === 0 ? mask : null);
      return { ...plain, ...way, uniform: random.uniform(), ids: [], added };
    });
    const found = choose(logits, asks, vocabulary).tokens.data;
    for (const [i, ask] of asks.entries())
      assert.equal(
        found[i],
        sampleToken(adjusted(logits[i]!, ask.added), ask, ask.uniform),
        JSON.stringify(ways[i]),
      );
  }
});
