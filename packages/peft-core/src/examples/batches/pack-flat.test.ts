import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../random.ts';
import { NO_TARGET, type TrainingExample } from '../training-example.ts';
import { fillBatch, type SequenceLayout } from './fill-batch.ts';
import { gradientPositions, packFlat, placeOf } from './pack-flat.ts';
import { planTraining } from './plan-training.ts';
import { nestedPrefixes, sharedPrefixes } from './shared-prefixes.ts';

const shareable = (ids: number[], limit = ids.length) => ({ ids: Int32Array.from(ids), limit });

test('groups share what they may, and save nearly as many positions as any grouping does', () => {
  const random = new Random(3, 'test');
  const total = { saved: 0, most: 0 };
  for (let round = 0; round < 200; round++) {
    const sequences = Array.from({ length: 1 + random.integer(6) }, () => {
      const kind = random.integer(3);
      const common = Array.from({ length: 4 + random.integer(20) }, (_, t) => (t < 6 ? 7 : 10 * kind + t));
      return shareable([...common, 100 + random.integer(50)], random.integer(common.length + 1));
    });
    const groups = sharedPrefixes(sequences);
    const seen = new Set<number>();
    for (const { members, length } of groups) {
      assert.ok(members.length > 1 && length > 0);
      for (const member of members) {
        assert.ok(!seen.has(member));
        seen.add(member);
        assert.ok(length <= sequences[member]!.limit);
        const start = (at: number) => [...sequences[at]!.ids.subarray(0, length)];
        assert.deepEqual(start(member), start(members[0]!));
      }
    }
    const saved = groups.reduce((sum, { members, length }) => sum + (members.length - 1) * length, 0);
    const most = maxSaved(sequences.map((_, i) => i));
    assert.ok(saved <= most);
    total.saved += saved;
    total.most += most;

    /** The best result over all partitions of `left` into groups. */
    function maxSaved(left: number[]): number {
      const [first, ...rest] = left;
      if (first === undefined) return 0;
      let best = 0;
      for (let mask = 0; mask < 2 ** rest.length; mask++) {
        const others = rest.filter((_, i) => mask & (1 << i));
        const members = [first, ...others];
        const most = Math.min(...members.map((at) => sequences[at]!.limit));
        let length = 0;
        while (
          length < most &&
          members.every((at) => sequences[at]!.ids[length] === sequences[first]!.ids[length])
        )
          length++;
        const here = (members.length - 1) * length;
        const counted = here < 8 ? 0 : here;
        best = Math.max(
          best,
          counted +
            maxSaved(counted > 0 || others.length === 0 ? rest.filter((at) => !others.includes(at)) : rest),
        );
      }
      return best;
    }
  }
  assert.ok(total.saved > 0.98 * total.most, `${total.saved} of ${total.most}`);
});

test('a thousand sequences that share one beginning are grouped in no time', () => {
  const sequences = Array.from({ length: 1000 }, (_, i) => shareable([...Array(400).fill(3), i, i + 1], 400));
  const groups = sharedPrefixes(sequences);
  assert.equal(
    groups.reduce((sum, { members }) => sum + members.length, 0),
    1000,
  );
});

/** Chats with two different system prompts; the answer's tokens are trained on, with weights in two of three chats. */
function chats(count: number): TrainingExample[] {
  return Array.from({ length: count }, (_, line) => {
    const system = Array.from({ length: 12 }, (_, t) => 1000 * (1 + (line % 2)) + t);
    const own = Array.from({ length: 3 + (line % 5) }, (_, t) => 50 + line * 10 + t);
    const ids = Int32Array.from([...system, ...own]);
    const targets = ids.map((id, t) => (t >= system.length + 1 ? id + 1 : NO_TARGET));
    const example = { sequences: [{ ids, targets }], tokens: ids.length + 1, line };
    if (line % 3 === 0) return example;
    const weights = Float32Array.from(ids, (_, t) => 1 + ((line + t) % 4) / 4);
    return { ...example, sequences: [{ ids, targets, weights }], weight: 0.5 * (line % 3) };
  });
}

const options = { batch_size: 5, gradient_accumulation_steps: 2, n_epochs: 2, seed: 9, packing: true };

test('flat and shared lists hold what the grid holds: the same steps, tokens, labels with their weights, and whom each label sees', () => {
  const examples = chats(23);
  const training = { ...options, max_steps: null } as Parameters<typeof planTraining>[1];
  for (const virtualTokens of [0, 3]) {
    const layout: SequenceLayout = { virtualTokens, vocabularySize: 9000, firstPosition: 0, pooling: 'last' };
    const grid = planTraining(examples, training, layout);
    for (const arrangement of ['flat', 'shared'] as const) {
      const arranged = { ...layout, arrangement };
      const plan = planTraining(examples, training, arranged);
      assert.equal(plan.steps, grid.steps);
      assert.equal(plan.stats.tokens, grid.stats.tokens);
      assert.equal(plan.shape.rows, 1);
      assert.ok(plan.stats.computedPositions <= grid.stats.computedPositions);
      for (let step = 0; step < plan.steps; step++) {
        for (let i = 0; i < 2; i++) {
          const batch = fillBatch(plan, examples, step, i, arranged);
          const expected = fillBatch(grid, examples, step, i, layout);
          assert.equal(batch.tokenCount, expected.tokenCount);
          assert.equal(batch.labelCount, expected.labelCount);
          assert.deepEqual(contexts(batch), contexts(expected));
        }
      }
    }
    const shared = planTraining(examples, training, { ...layout, arrangement: 'shared' });
    const flat = planTraining(examples, training, { ...layout, arrangement: 'flat' });
    assert.ok(
      shared.shape.tokens < 0.8 * flat.shape.tokens,
      `${shared.shape.tokens} of ${flat.shape.tokens}`,
    );
  }
});

test('a shared prefix contains no label, however alike examples are, so each example keeps all of its labels', () => {
  const ids = Int32Array.from({ length: 20 }, (_, t) => 100 + t);
  const training = { ...options, max_steps: null, n_epochs: 1 } as Parameters<typeof planTraining>[1];
  const layout = { virtualTokens: 0, vocabularySize: 9000, firstPosition: 0, pooling: 'last' } as const;
  // The first label is at the first token, in the middle, or at the last one.
  for (const labelled of [0, 11, 19]) {
    const targets = ids.map((id, t) => (t >= labelled ? id + 1 : NO_TARGET));
    const examples = Array.from({ length: 10 }, (_, line) => ({
      sequences: [{ ids, targets }],
      tokens: ids.length + 1,
      line,
    }));
    const shared = { ...layout, arrangement: 'shared' } as const;
    const plan = planTraining(examples, training, shared);
    assert.equal(plan.stats.savedPositions, 8 * labelled, 'of two batches of five, all but the first');
    const grid = planTraining(examples, training, layout);
    for (let i = 0; i < 2; i++) {
      const batch = fillBatch(plan, examples, 0, i, shared);
      assert.equal(batch.labelCount, 5 * (20 - labelled));
      assert.deepEqual(contexts(batch), contexts(fillBatch(grid, examples, 0, i, layout)));
    }
  }
});

/** Pairs under one of two system messages, of `prompt` ids between it and the answers. */
function pairsUnderSystems(count: number, prompt: number): TrainingExample[] {
  return Array.from({ length: count }, (_, line) => {
    const system = Array.from({ length: 14 }, (_, t) => 1000 * (1 + (line % 2)) + t);
    const own = Array.from({ length: prompt }, (_, t) => 50 + line * 20 + t);
    const sequences = [3, 5].map((length) => {
      const answer = Array.from({ length }, (_, t) => 3000 + line * 10 + length + t);
      const ids = Int32Array.from([...system, ...own, ...answer]);
      return { ids, targets: ids.map((id, t) => (t >= system.length + prompt ? id + 1 : NO_TARGET)) };
    });
    return { sequences, tokens: 2 * (system.length + prompt) + 8, line };
  });
}

test('pairs under one system message compute it once, and each prompt once', () => {
  const training = { ...options, batch_size: 6, max_steps: null, n_epochs: 1 } as Parameters<
    typeof planTraining
  >[1];
  for (const prompt of [10, 40]) {
    const examples = pairsUnderSystems(12, prompt);
    const layout = { virtualTokens: 0, vocabularySize: 9000, firstPosition: 0, pooling: 'last' } as const;
    const shared = { ...layout, arrangement: 'shared' } as const;
    const plan = planTraining(examples, training, shared);
    const grid = planTraining(examples, training, layout);
    for (let i = 0; i < 2; i++) {
      const batch = fillBatch(plan, examples, 0, i, shared);
      const systems = new Set(plan.micro(0, i).map(({ example }) => example % 2));
      assert.equal(batch.length, 14 * systems.size + 6 * (prompt + 3 + 5));
      assert.deepEqual(contexts(batch), contexts(fillBatch(grid, examples, 0, i, layout)));
    }
  }
});

test('two levels of groups share what they may, and never save less than one level', () => {
  const random = new Random(5, 'test');
  for (let round = 0; round < 300; round++) {
    const sequences = Array.from({ length: 2 + random.integer(12) }, () => {
      const [system, prompt] = [random.integer(2), random.integer(4)];
      const ids = [
        ...Array.from({ length: 3 + 9 * system }, (_, t) => 1000 * system + t),
        ...Array.from({ length: 2 + 6 * prompt }, (_, t) => 100 * prompt + t),
        5000 + random.integer(3),
      ];
      return shareable(ids, ids.length - random.integer(4));
    });
    const widths = sequences.map(({ ids }) => ids.length);
    const all = sequences.map((_, i) => i);
    const { pieces, length } = packFlat(all, widths, (sequence) => sequences[sequence]!);
    const oneLevel = sharedPrefixes(sequences).reduce(
      (sum, { members, length }) => sum + (members.length - 1) * length,
      0,
    );
    assert.ok(length <= widths.reduce((sum, width) => sum + width, 0) - oneLevel);
    const laid = pieces.flatMap(({ sequence, from, to }) => [...sequences[sequence]!.ids.subarray(from, to)]);
    for (const piece of pieces.filter(({ shared }) => !shared)) {
      const { ids } = sequences[piece.sequence]!;
      assert.deepEqual(
        Array.from(ids, (_, t) => laid[placeOf(piece, t)]),
        [...ids],
      );
      assert.ok((piece.prefix?.to ?? 0) <= sequences[piece.sequence]!.limit);
      assert.equal(piece.prefix?.before?.before ?? null, null);
    }
    assert.deepEqual(
      pieces.flatMap(({ sequence, shared }) => (shared ? [] : [sequence])).sort((a, b) => a - b),
      all,
    );
    for (const { length, inner } of nestedPrefixes(sequences))
      for (const group of inner) assert.ok(group.length > length);
  }
});

/** For each label, sorted: the label, its weight, and the ids and positions of everything that its position attends to, in order. */
function contexts(batch: ReturnType<typeof fillBatch>): string[] {
  const { ids, positions, segments, parents, grandparents } = batch;
  const rowLength = rowLengthOf(batch);
  return Array.from({ length: batch.labelCount }, (_, k) => {
    const at = batch.labelPositions[k]!;
    const row = Math.floor(at / rowLength) * rowLength;
    const seen: [number, number][] = [];
    for (let j = row; j < row + rowLength; j++) {
      const own = [segments[at], parents[at], grandparents[at]].includes(segments[j]);
      if (own && positions[j]! <= positions[at]!) seen.push([positions[j]!, ids[j]!]);
    }
    seen.sort(([a], [b]) => a - b);
    return JSON.stringify([batch.labelIds[k], batch.labelWeights[k], seen]);
  }).sort();
}

/** Length of a row. Segments are numbered from 1 in each row. */
function rowLengthOf({ segments, spans }: ReturnType<typeof fillBatch>): number {
  for (let i = 4; i < spans.length; i += 4)
    if (spans[i + 1] !== 0 && segments[spans[i]!] === 1) {
      const starts = Array.from({ length: spans.length / 4 }, (_, s) => spans[4 * s]!).filter(
        (start, s) => spans[4 * s + 1] !== 0 && segments[start] === 1,
      );
      const [first, second] = starts.sort((a, b) => a - b);
      return second === undefined ? segments.length : second - first!;
    }
  return segments.length;
}

test('memory for gradients of a shared beginning does not grow with how many share it', () => {
  const of = (sharers: number) => {
    const beginning = Array.from({ length: 100 }, (_, t) => t);
    const sequences = Array.from({ length: sharers }, (_, i) => shareable([...beginning, 1000 + i], 100));
    const { pieces, length } = packFlat(
      sequences.map((_, i) => i),
      sequences.map(() => 103),
      (sequence) => sequences[sequence]!,
    );
    assert.equal(length, 100 + 3 * sharers);
    return gradientPositions(pieces) - length;
  };
  assert.equal(of(2), 2 * 100);
  assert.equal(of(8), 8 * 100);
  assert.equal(of(256), 8 * 100);
});
