import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../random.ts';
import { NO_TARGET, type TrainingExample } from '../training-example.ts';
import { type ExampleSize, sizeOf } from './example-size.ts';
import { fillBatch, type SequenceLayout } from './fill-batch.ts';
import { type BatchOptions, planBatches, planEvaluation } from './plan-batches.ts';

/** Language examples of 2 to `longest` − 1 tokens; the second half of each is labelled; ids identify example and token. */
function examplesOf(count: number, longest: number, seed = 1): TrainingExample[] {
  const random = new Random(seed, 'test');
  return Array.from({ length: count }, (_, line) => {
    const tokens = 2 + random.integer(longest - 2);
    const ids = Int32Array.from({ length: tokens - 1 }, (_, t) => 1000 * (line + 1) + t);
    const targets = ids.map((id, t) => (t + 1 >= tokens / 2 ? id + 1 : NO_TARGET));
    return { sequences: [{ ids, targets }], tokens, line };
  });
}

const plain: SequenceLayout = { virtualTokens: 0, vocabularySize: 0, firstPosition: 0, pooling: 'last' };

function optionsFor(examples: TrainingExample[], more: Partial<BatchOptions> = {}): BatchOptions {
  return {
    examples: examples.map((example) => sizeOf(example)),
    batchSize: 8,
    accumulation: 1,
    epochs: 3,
    seed: 42,
    packing: true,
    maxSteps: null,
    ...more,
  };
}

/** Sizes of language examples with these numbers of tokens. */
const sizesOf = (lengths: ArrayLike<number>, labels: (length: number) => number): ExampleSize[] =>
  Array.from(lengths, (length) => ({
    widths: [length - 1],
    inputWidth: 0,
    labels: labels(length),
    tokens: length,
  }));

/** Sizes, options and lengths drawn at random. */
function* randomPlans() {
  const random = new Random(7, 'test');
  for (let round = 0; round < 60; round++) {
    const examples = examplesOf(
      1 + random.integer(60),
      3 + random.integer(round % 5 === 0 ? 900 : 120),
      round,
    );
    const more = {
      batchSize: 1 + random.integer(9),
      accumulation: 1 + random.integer(3),
      epochs: 1 + random.integer(3),
      seed: round,
      packing: random.uniform() < 0.7,
    };
    yield { examples, options: optionsFor(examples, more) };
  }
}

test('every training epoch holds every example exactly once, in steps of the effective batch', () => {
  for (const { examples, options } of randomPlans()) {
    const plan = planBatches(options);
    const perStep = options.batchSize * options.accumulation;
    assert.equal(plan.steps, Math.ceil(examples.length / perStep) * options.epochs);
    for (let epoch = 0; epoch < options.epochs; epoch++) {
      const seen: number[] = [];
      for (let s = 0; s < plan.stepsPerEpoch; s++) {
        const step = epoch * plan.stepsPerEpoch + s;
        assert.ok(Math.abs(plan.epochAt(step) - (step + 1) / plan.stepsPerEpoch) <= 0.00501);
        const before = seen.length;
        for (let i = 0; i < options.accumulation; i++)
          seen.push(...plan.micro(step, i).map(({ example }) => example));
        const last = s === plan.stepsPerEpoch - 1;
        assert.equal(seen.length - before, last ? examples.length - before : perStep);
      }
      assert.deepEqual(
        seen.sort((a, b) => a - b),
        [...examples.keys()],
      );
    }
  }
});

test('packed examples lie within the grid and never overlap; the grid is right and no larger than needed', () => {
  for (const { examples, options } of randomPlans()) {
    const plan = planBatches(options);
    const { rows, tokens, labels } = plan.shape;
    assert.equal(tokens % 32, 0);
    assert.equal(labels % 16, 0);
    let fullest = 0;
    for (let step = 0; step < plan.steps; step++) {
      for (let i = 0; i < options.accumulation; i++) {
        const taken = new Set<number>();
        for (const { example, row, offset } of plan.micro(step, i)) {
          const width = examples[example]!.sequences[0]!.ids.length;
          assert.ok(row < rows && offset + width <= tokens);
          fullest = Math.max(fullest, row + 1);
          for (let t = 0; t < width; t++) {
            assert.ok(!taken.has(row * tokens + offset + t));
            taken.add(row * tokens + offset + t);
          }
          if (!options.packing) assert.equal(offset, 0);
        }
      }
    }
    assert.equal(fullest, rows);
  }
});

test('a filled batch predicts each labelled token from the one before it, within its example', () => {
  for (const { examples, options } of randomPlans()) {
    const plan = planBatches(options);
    for (let step = 0; step < plan.steps; step += 5) {
      const batch = fillBatch(plan, examples, step, 0, plain);
      const placements = plan.micro(step, 0);
      const chosen = placements.map(({ example }) => examples[example]!);
      assert.equal(
        batch.tokenCount,
        chosen.reduce((sum, { tokens }) => sum + tokens, 0),
      );
      const expected = chosen.flatMap(({ sequences }) =>
        [...sequences[0]!.targets!].filter((target) => target !== NO_TARGET),
      );
      const predicted = [...batch.labelIds.subarray(0, batch.labelCount)];
      assert.deepEqual(predicted, expected);
      predicted.forEach((label, k) => {
        const at = batch.labelPositions[k] as number;
        assert.equal(batch.ids[at], label - 1); // ids of an example count up
        assert.equal(batch.positions[at], ((label - 1) % 1000) as number);
        assert.ok((batch.segments[at] as number) > 0);
        const owner = chosen[batch.labelOwners[k]!]!;
        assert.ok(owner.sequences[0]!.targets!.includes(label), 'a label knows its sequence');
      });
      assert.deepEqual(
        batch.labelWeights.reduce((sum, weight) => sum + weight, 0),
        batch.labelCount,
      );
      // A segment of a row is one example, its positions counting from 0; padding is segment 0.
      const starts = new Map<string, number>();
      for (let at = 0; at < batch.ids.length; at++) {
        const segment = batch.segments[at] as number;
        if (segment === 0) {
          assert.equal(batch.ids[at], 0);
          continue;
        }
        const key = `${Math.floor(at / plan.shape.tokens)}/${segment}`;
        if (!starts.has(key)) starts.set(key, at);
        assert.equal(batch.positions[at], at - (starts.get(key) as number));
      }
      assert.equal(starts.size, placements.length);
    }
  }
});

test('the same seed gives the same plan, another seed another; a step needs no step before it', () => {
  const examples = examplesOf(50, 60);
  const all = (plan: ReturnType<typeof planBatches>) =>
    Array.from({ length: plan.steps }, (_, s) => plan.micro(s, 0));
  const plan = planBatches(optionsFor(examples));
  const inOrder = all(plan);
  assert.deepEqual(all(planBatches(optionsFor(examples))), inOrder);
  assert.notDeepEqual(all(planBatches(optionsFor(examples, { seed: 43 }))), inOrder);
  const resumed = planBatches(optionsFor(examples));
  for (let step = plan.steps - 1; step >= 0; step--) assert.deepEqual(resumed.micro(step, 0), inOrder[step]);
});

test('training epochs have different orders', () => {
  const plan = planBatches(optionsFor(examplesOf(64, 40)));
  const epoch = (e: number) =>
    Array.from({ length: 8 }, (_, s) => plan.micro(8 * e + s, 0).map(({ example }) => example));
  assert.notDeepEqual(epoch(0), epoch(1));
});

test('max_steps ends the plan early and never makes it longer', () => {
  const examples = examplesOf(40, 40);
  assert.equal(planBatches(optionsFor(examples, { maxSteps: 7 })).steps, 7);
  assert.equal(planBatches(optionsFor(examples, { maxSteps: 100 })).steps, 15);
});

test('short examples are packed with little padding, in rows of at most 512', () => {
  const random = new Random(5, 'test');
  const lengths = Array.from({ length: 280 }, () => 45 + random.integer(16));
  const plan = planBatches({ ...optionsFor([]), examples: sizesOf(lengths, () => 8) });
  assert.ok(plan.shape.tokens <= 512);
  assert.ok(plan.stats.paddingFraction < 0.12, String(plan.stats.paddingFraction));
  const padded = planBatches({ ...optionsFor([]), examples: sizesOf(lengths, () => 8), packing: false });
  assert.ok(plan.stats.computedPositions < 0.9 * padded.stats.computedPositions);
  assert.deepEqual(padded.shape, { rows: 8, tokens: 64, inputTokens: 0, labels: 64, sequences: 1, spans: 8 });
});

test('one long example makes rows of its length, not longer', () => {
  const plan = planBatches({
    ...optionsFor([]),
    examples: sizesOf([900, 30, 30, 30], () => 1),
    batchSize: 4,
  });
  assert.equal(plan.shape.tokens, 928);
  assert.equal(plan.shape.rows, 2);
});

test('packing lays out the same examples as rows of one', () => {
  const examples = examplesOf(30, 50);
  const chosen = (packing: boolean) => {
    const plan = planBatches(optionsFor(examples, { packing }));
    return Array.from({ length: plan.steps }, (_, s) =>
      plan
        .micro(s, 0)
        .map(({ example }) => example)
        .sort((a, b) => a - b),
    );
  };
  assert.deepEqual(chosen(true), chosen(false));
});

test('evaluation takes every example once, in order', () => {
  const examples = examplesOf(21, 80);
  const plan = planEvaluation({ ...optionsFor(examples), batchSize: 8 });
  assert.equal(plan.steps, 3);
  const seen = [0, 1, 2].map((step) =>
    plan
      .micro(step, 0)
      .map(({ example }) => example)
      .sort((a, b) => a - b),
  );
  assert.deepEqual(seen.flat(), [...examples.keys()]);
  assert.equal(
    fillBatch(plan, examples, 2, 0, plain).tokenCount,
    examples.slice(16).reduce((sum, { tokens }) => sum + tokens, 0),
  );
});

test('planning two hundred thousand examples takes seconds', () => {
  const random = new Random(3, 'test');
  const lengths = Int32Array.from({ length: 200_000 }, () => 20 + random.integer(180));
  const start = performance.now();
  const plan = planBatches({ ...optionsFor([]), examples: sizesOf(lengths, (n) => n), epochs: 1 });
  assert.ok(plan.stats.paddingFraction < 0.5);
  assert.ok(performance.now() - start < 10_000);
});

/** Encoder-decoder examples: inputs and targets of very different lengths; ids identify example, half and token. */
function pairsOf(count: number, seed: number): TrainingExample[] {
  const random = new Random(seed, 'test');
  return Array.from({ length: count }, (_, line) => {
    const counted = (length: number, half: number) =>
      Int32Array.from({ length }, (_, t) => 10_000 * (line + 1) + 1000 * half + t);
    const ids = counted(1 + random.integer(seed % 2 === 0 ? 40 : 200), 0);
    const input = counted(1 + random.integer(seed % 3 === 0 ? 30 : 300), 1);
    return { sequences: [{ ids, input, targets: ids }], tokens: ids.length + input.length, line };
  });
}

test('an encoder-decoder: either half lies within its grid, and a sequence has the same number in both', () => {
  for (let seed = 0; seed < 24; seed++) {
    const examples = pairsOf(1 + seed, seed);
    const virtualTokens = seed % 4;
    const options = {
      ...optionsFor([], { packing: seed % 5 !== 0, epochs: 1, seed }),
      examples: examples.map((example) => sizeOf(example, { virtualTokens })),
    };
    const plan = planBatches(options);
    const { rows, tokens, inputTokens } = plan.shape;
    const layout = { ...plain, virtualTokens, vocabularySize: 900_000, firstPosition: 3 };
    for (let step = 0; step < plan.steps; step++) {
      const batch = fillBatch(plan, examples, step, 0, layout);
      const halves = [
        { grid: batch, width: tokens, first: 3, virtual: 0 },
        { grid: batch.input, width: inputTokens, first: 0, virtual: virtualTokens },
      ];
      const [decoder, encoder] = halves.map(({ grid, width, first, virtual }) => {
        assert.equal(grid.ids.length, rows * width);
        const found = new Map<string, number[]>();
        grid.segments.forEach((segment, at) => {
          if (segment === 0) return;
          const key = `${Math.floor(at / width)}/${segment}`;
          const sequence = found.get(key) ?? [];
          assert.equal(grid.positions[at], first + sequence.length);
          found.set(key, [...sequence, grid.ids[at]!]);
        });
        for (const [key, ids] of found) {
          assert.deepEqual(
            ids.slice(0, virtual),
            [...Array(virtual).keys()].map((i) => 900_000 + i),
          );
          found.set(key, ids.slice(virtual));
        }
        return found;
      });
      assert.deepEqual([...decoder!.keys()].sort(), [...encoder!.keys()].sort());
      const chosen = plan.micro(step, 0).map(({ example }) => examples[example]!.sequences[0]!);
      const shown = chosen.map(({ ids, input }) => `${ids}|${input}`);
      const read = [...decoder!].map(([key, ids]) => `${ids}|${encoder!.get(key)}`);
      assert.deepEqual(read.sort(), shown.sort());
      assert.equal(
        batch.labelCount,
        chosen.reduce((sum, { ids }) => sum + ids.length, 0),
      );
    }
  }
});

test('an encoder-decoder: packing computes less than a row for each', () => {
  const sizes = Array.from({ length: 64 }, (_, i) => ({
    widths: [4 + (i % 5)],
    inputWidth: 20 + 3 * (i % 40),
    labels: 4,
    tokens: 30,
  }));
  const computed = (packing: boolean) =>
    planBatches({ ...optionsFor([], { batchSize: 16, packing }), examples: sizes }).stats.computedPositions;
  assert.ok(computed(true) < 0.75 * computed(false), `${computed(true)} of ${computed(false)}`);
});
