/** Inputs with a common prefix, which is computed once, must have the same scores as when scored alone. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, mock, test } from 'node:test';
import type { GraftError } from '../errors.ts';
import { type BaseModel, openBaseModel, sequencePooling } from '../files.ts';
import { architectureFor } from '../models/registry.ts';
import { readFittingAdapter } from '../peft-model/adapter-fit.ts';
import { adapterValues } from '../peft-model/adapter-values.ts';
import { readsBaseHead } from '../peft-model/peft-model.ts';
import { tinyFamilies } from '../testing/tiny-families.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { trainAdapter, trainOptions } from '../testing/train-adapter.ts';
import { leadingPositions } from '../tuners/methods.ts';
import { loadWeights } from '../weights/load-weights.ts';
import type { Score } from './score.ts';
import { buildScoreProgram, type OwnScore } from './score-program.ts';
import { type ScoreInput, scoreTexts } from './score-texts.ts';

let root: string;
before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-shared-scores-'));
});
after(async () => await rm(root, { recursive: true }));

const system = 'You are a shop that lends bikes to people who come by train, and you answer in few words. ';
const other = 'Say whether this message is a question or an order, and nothing else at all: ';
const texts = [
  ...Array.from({ length: 12 }, (_, i) => `${system}${'How many, and when? '.slice(i)}${i}`),
  // One input is the prefix of others, and one appears twice.
  system,
  `${system}0`,
  `${system}0`,
  'a',
  ...Array.from({ length: 9 }, (_, i) => `${other}${i} or ${i * i}`),
  'Something else.',
];

async function scoresOf(base: BaseModel, adapterDir: string | null, input: ScoreInput[]): Promise<Score[]> {
  const scores: Score[] = [];
  for await (const score of scoreTexts({ base, adapterDir, input })) scores.push(score);
  return scores;
}

/** Scores inputs one by one with the same program, which otherwise combines them into fewer runs. */
async function eachAlone(
  base: BaseModel,
  adapterDir: string | null,
  inputs: number[][],
): Promise<OwnScore[]> {
  const fitting = adapterDir ? await readFittingAdapter(base, adapterDir) : null;
  const config = fitting?.adapter.config ?? null;
  const architecture = fitting?.architecture ?? architectureFor(base.modelType, base.config);
  const layout = {
    ...(await sequencePooling(base.path, architecture)),
    firstPosition: config ? leadingPositions(config).prefixLength : 0,
    lengths: [128, 512],
  };
  const { program, model, score } = buildScoreProgram(architecture, config, layout);
  await loadWeights(program, base, architecture, 'float32', {
    withHead: readsBaseHead(architecture, config),
  });
  if (fitting) await program.write([['adapter', adapterValues(model, fitting.adapter.tensors)]]);
  const scores = inputs.flatMap((ids) => score([ids]));
  const { mock: runs } = mock.method(program, 'run');
  score(inputs);
  assert.ok(runs.callCount() <= 10, `${runs.callCount()} runs for ${inputs.length} inputs`);
  program.close();
  return scores;
}

const numbersOf = (score: OwnScore): number[] => {
  if ('logprobs' in score) return score.logprobs;
  return 'logits' in score ? score.logits.flat() : score.embedding;
};

const line = (i: number) => ({ prompt: `${i}:`, completion: ` ${i % 2}` });
const lora = { peft_type: 'LORA', r: 4, target_modules: ['q_proj', 'v_proj'] };
const cases: Record<
  string,
  { config?: Record<string, unknown>; peft?: Record<string, unknown>; line?: (i: number) => object }
> = {
  'the base model': {},
  'GPT-2': { config: tinyFamilies.gpt2 },
  'a window that is shorter than the beginning': { config: { model_type: 'mistral', sliding_window: 20 } },
  LoRA: { peft: lora },
  'LoRA on the head': { peft: { ...lora, target_modules: ['lm_head', 'down_proj'] } },
  'virtual tokens': { peft: { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 5 } },
  'a prefix': { peft: { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 5 } },
  'a classifier of texts': {
    peft: { ...lora, task_type: 'SEQ_CLS' },
    line: (i) => ({ text: `${i} ab`, label: i % 2 ? 'odd' : 'even' }),
  },
  'a classifier of tokens': {
    peft: { ...lora, task_type: 'TOKEN_CLS' },
    line: (i) => ({ tokens: ['aa', 'bb'], labels: [i % 2, 1] }),
  },
  embeddings: {
    peft: { ...lora, task_type: 'FEATURE_EXTRACTION' },
    line: (i) => ({ anchor: `${i} a`, positive: `${i} is the same` }),
  },
};

for (const [name, given] of Object.entries(cases)) {
  test(`${name}: as each alone`, async () => {
    const at = (file: string) => path.join(root, name.replaceAll(' ', '-'), file);
    await writeTinyModel(at('model'), given.config);
    const base = await openBaseModel(at('model'));
    try {
      const { peft } = given;
      if (peft) {
        const lines = Array.from({ length: 8 }, (_, i) => JSON.stringify((given.line ?? line)(i)));
        await writeFile(at('train.jsonl'), lines.join('\n'));
        const training = { learning_rate: 0.05, max_steps: 3, precision: 'fp32' as const };
        const files = { trainingFile: at('train.jsonl'), exampleCount: 8, outputDir: at('adapter') };
        await trainAdapter(trainOptions({ base, peft, training, ...files }));
      }
      const adapter = peft ? at('adapter') : null;
      const together = await scoresOf(
        base,
        adapter,
        texts.map((text) => ({ text })),
      );
      assert.equal(together.length, texts.length);
      const ids = together.map(({ input_ids }) => input_ids);
      const alone = await eachAlone(base, adapter, ids);
      for (const [i, text] of texts.entries()) {
        assert.equal(ids[i]!.length, text.length);
        const [found, wanted] = [numbersOf(together[i]! as OwnScore), numbersOf(alone[i]!)];
        assert.equal(found.length, wanted.length);
        // Relative to the largest number, because a number near 0 is the difference of larger ones.
        const scale = wanted.reduce((most, x) => Math.max(most, Math.abs(x)), 1e-6);
        const off = found.reduce((most, x, k) => Math.max(most, Math.abs(x - wanted[k]!)), 0) / scale;
        assert.ok(off < 1e-5, `${text}: off by ${off}`);
      }
    } finally {
      await base.close();
    }
  });
}

test('scores before an error are returned, and then the error with its number', async () => {
  const folder = path.join(root, 'faulty');
  await writeTinyModel(folder);
  const base = await openBaseModel(folder);
  const lengths: number[] = [];
  await assert.rejects(
    async () => {
      const input = [{ text: 'one' }, { text: 'two' }, { input_ids: [] }, { text: 'four' }];
      for await (const { input_ids } of scoreTexts({ base, input })) lengths.push(input_ids.length);
    },
    (error: GraftError) => error.code === 'empty_prompt' && error.message.startsWith('input 3 '),
  );
  assert.deepEqual(lengths, [3, 3]);
  await base.close();
});
