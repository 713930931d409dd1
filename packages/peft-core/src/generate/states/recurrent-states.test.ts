/** Answers many chats at once with a model whose layers carry states: each answer must be the same as alone. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { recordFunctions } from '@graft/tf-graph';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { layingOutFor } from '../../nn/computation.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { type GenerateRequest, type Generator, openGenerator } from '../generator.ts';
import type { LikelyTokens } from '../sampling/likely-tokens.ts';
import type { ServingLimits } from '../step.ts';

const families = ['qwen3_5_text', 'granitemoehybrid'] as const;
let root: string;
let bases: BaseModel[];
before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-states-'));
  for (const family of families) await writeTinyModel(path.join(root, family), tinyFamilies[family]);
  bases = await Promise.all(families.map((family) => openBaseModel(path.join(root, family))));
});
after(async () => {
  for (const base of bases) await base.close();
  await rm(root, { recursive: true });
});

/** Prompts of one token, of several pieces and between; some with a common beginning; one is asked twice. */
const requests: GenerateRequest[] = [1, 30, 64, 65, 100, 150, 150, 129].map((length, i) => ({
  prompt: `${'Once upon a time, '.repeat(10).slice(0, length - 1)}${i === 6 ? 5 : i}`,
  max_tokens: 8 + i,
  // Log-probabilities reveal differences of a single bit.
  logprobs: 2,
  team: `team ${i % 2}`,
}));

async function answer(generator: Generator, request: GenerateRequest) {
  const ids: number[] = [];
  const likely: (LikelyTokens | undefined)[] = [];
  const pieces = generator.generate(request);
  for (;;) {
    const next = await pieces.next();
    if (next.done) return { ids, likely, cached: next.value.cachedTokens };
    ids.push(next.value.tokenId);
    likely.push(next.value.likely);
  }
}

async function answers(base: BaseModel, limits: Partial<ServingLimits>, atOnce: boolean) {
  const generator = await openGenerator({ base, context: 200, ...limits });
  try {
    if (atOnce) return await Promise.all(requests.map((request) => answer(generator, request)));
    const all = [];
    for (const request of requests) all.push(await answer(generator, request));
    return all;
  } finally {
    await generator.close();
  }
}

for (const [number, family] of families.entries()) {
  test(`${family}: many at once say what each says alone, bit for bit, and share no cached prefixes`, async () => {
    const alone = await answers(bases[number]!, { rows: 4 }, false);
    assert.ok(new Set(alone.map(({ ids }) => ids.join())).size > 4, 'they say different things');
    assert.deepEqual(
      alone.map(({ cached }) => cached),
      requests.map(() => 0),
    );
    assert.deepEqual(await answers(bases[number]!, { rows: 4 }, true), alone);
  });

  test(`${family}: also if few states fit in memory, and if the cache does not hold all sequences`, async () => {
    const texts = async (limits: Partial<ServingLimits>) =>
      (await answers(bases[number]!, { rows: 4, ...limits }, true)).map(({ ids }) => ids);
    const expected = await texts({});
    // Two sequences have states of 4 kB each, and blocks for little more than one context.
    assert.deepEqual(await texts({ cacheBytes: 9000 }), expected);
  });

  test(`${family}: with the layout of a GPU they say the same, and no operation is left to the processor`, async () => {
    const expected = (await answers(bases[number]!, { rows: 4 }, false)).map(({ ids }) => ids);
    const functions = await recordFunctions(() =>
      layingOutFor('gpu', async () => {
        const found = await answers(bases[number]!, { rows: 4, baseDtype: 'fp32' }, true);
        assert.deepEqual(
          found.map(({ ids }) => ids),
          expected,
        );
      }),
    );
    const moved = ['Placeholder', 'Const', 'Cast', 'TopKV2', 'Identity', 'GatherV2'];
    const left = functions.flatMap(({ nodes }) =>
      nodes.filter(
        ({ op, outputs }) => outputs.some(({ dtype }) => dtype === 'int32') && !moved.includes(op),
      ),
    );
    assert.deepEqual(
      left.map(({ op, name }) => `${op} ${name}`),
      [],
    );
  });
}

test('a team without a state does not wait for the answers of another that has all states', async () => {
  const generator = await openGenerator({ base: bases[0]!, context: 200, rows: 4 });
  const ended: string[] = [];
  let began = () => {};
  const beginning = new Promise<void>((resolve) => {
    began = resolve;
  });
  const ask = async (team: string, prompt: string, max_tokens: number) => {
    let text = '';
    for await (const piece of generator.generate({ prompt, team, max_tokens })) {
      text += piece.text;
      began();
    }
    ended.push(team);
    return text;
  };
  const many = Array.from({ length: 8 }, (_, i) => ask('many', `${i}: once upon a time`, 40));
  await beginning;
  const small = ask('one', 'what is it:', 4);
  const texts = await Promise.all([small, ...many]);
  assert.equal(ended[0], 'one');
  // Those that lost their states say the same.
  const alone = [await ask('alone', 'what is it:', 4)];
  for (let i = 0; i < 8; i++) alone.push(await ask('alone', `${i}: once upon a time`, 40));
  assert.deepEqual(texts, alone);
  await generator.close();
});
