// Vectors and classes of many requests at once are those of `scoreTexts`, one by one, for every kind of adapter.
import assert from 'node:assert/strict';
import { cp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { trainAdapter, trainOptions } from '../../testing/train-adapter.ts';
import { scoreTexts } from '../score-texts.ts';
import type { ScoredInput } from './read-inputs.ts';
import { type ScoredModel, ScoredModels } from './scored-models.ts';
import { type InputScore, type ScoreRequest, TextScorer } from './text-scorer.ts';

const at = tempFolder();
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

const tasks = {
  FEATURE_EXTRACTION: (i: number) => ({ anchor: `${i} a`, positive: `${i} is the same` }),
  SEQ_CLS: (i: number) => ({ text: 'ab'[i % 2]!.repeat(2 + i), label: i % 2 ? 'odd' : 'even' }),
  TOKEN_CLS: (i: number) => ({ tokens: ['aa', 'bb', `${i}`], labels: ['X', 'Y', 'X'] }),
};
type Task = keyof typeof tasks;

const methods: Record<string, Record<string, unknown>> = {
  lora: { peft_type: 'LORA', r: 2 },
  'another lora': { peft_type: 'LORA', r: 2 },
  'a wider lora': { peft_type: 'LORA', r: 5, use_rslora: true },
  ia3: { peft_type: 'IA3' },
  prompt: { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 3 },
  prefix: { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 4 },
  'named modules': { peft_type: 'LORA', r: 2, target_modules: ['q_proj', 'in_proj_qkv'] },
};

const texts = Array.from({ length: 66 }, (_, i) => `${'text '.repeat(1 + ((i * 7) % 11))}${i}`);

interface Trained {
  name: string;
  task: Task;
  folder: string;
}

async function trainAll(base: BaseModel, name: string, tried: readonly string[]): Promise<Trained[]> {
  const trained: Trained[] = [];
  for (const task of Object.keys(tasks) as Task[]) {
    const trainingFile = at(`${name}-${task}.jsonl`);
    const lines = Array.from({ length: 4 }, (_, i) => JSON.stringify(tasks[task](i)));
    await writeFile(trainingFile, lines.join('\n'));
    for (const [seed, method] of tried.entries()) {
      const peft = { task_type: task, ...methods[method] };
      const training = { learning_rate: 0.05, max_steps: 2, seed };
      const outputDir = at(`${name}-${task}-${method}`);
      try {
        await trainAdapter(trainOptions({ base, trainingFile, exampleCount: 4, peft, training, outputDir }));
      } catch (error) {
        if ((error as { code: string }).code === 'unsupported_task') continue;
        throw error;
      }
      trained.push({ name: method, task, folder: outputDir });
    }
  }
  return trained;
}

async function read(scorer: TextScorer, request: ScoreRequest) {
  const scores: InputScore[] = [];
  const found = scorer.score(request);
  const start = (await found.next()).value;
  assert.ok(start && 'kind' in start);
  for await (const next of found) if (Array.isArray(next)) scores.push(...next);
  scores.sort((a, b) => a.index - b.index);
  assert.deepEqual(
    scores.map(({ index }) => index),
    request.inputs.map((_, i) => i),
  );
  return { start, values: scores.map(({ values }) => values) };
}

async function one(base: BaseModel, adapterDir: string, input: readonly string[]): Promise<number[][]> {
  const all: number[][] = [];
  for await (const score of scoreTexts({ base, adapterDir, input: input.map((text) => ({ text })) }))
    all.push('embedding' in score ? score.embedding : 'logits' in score ? score.logits.flat() : []);
  return all;
}

const furthest = (a: ArrayLike<number>, b: ArrayLike<number>): number => {
  assert.equal(a.length, b.length);
  return Array.from(a).reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
};

const largest = (values: readonly number[]) => Math.max(1, ...values.map(Math.abs));

/** Name, config.json, methods, and the number of adapters: not every method has every task. */
const families: [string, Record<string, unknown>, string[], number][] = [
  ['bert', tinyFamilies.bert, Object.keys(methods).slice(0, -1), 16],
  ['llama', {}, ['lora', 'a wider lora', 'prefix'], 7],
  ['qwen3_5_text', tinyFamilies.qwen3_5_text, ['named modules'], 2],
];

for (const [family, config, tried, count] of families)
  describe(family, { timeout: 600_000 }, () => {
    let base: BaseModel;
    let trained: Trained[];
    let scorer: TextScorer;
    before(async () => {
      await writeTinyModel(at(family), config);
      base = await openBaseModel(at(family));
      trained = await trainAll(base, family, tried);
      scorer = new TextScorer({ base, context: 200 });
    });
    after(async () => {
      await scorer?.close();
      await base?.close();
    });

    it('computes all adapters at once as scoreTexts computes each', async () => {
      assert.equal(trained.length, count);
      const asked = trained.filter(({ task }) => task !== 'TOKEN_CLS');
      const requestOf = (adapter: string, task: Task, inputs: readonly ScoredInput[]): ScoreRequest => ({
        adapter,
        task: task === 'FEATURE_EXTRACTION' ? 'embed' : 'classify',
        inputs,
      });
      const found = await Promise.all(
        asked.map(({ folder, task }) => read(scorer, requestOf(folder, task, texts))),
      );
      for (const [i, { start, values }] of found.entries()) {
        const { name, task, folder } = asked[i]!;
        const wanted = await one(base, folder, texts);
        for (const [j, each] of values.entries())
          assert.ok(
            furthest(each, wanted[j]!) < 1e-5 * largest(wanted[j]!),
            `${name} for ${task}: ${furthest(each, wanted[j]!)}`,
          );
        assert.deepEqual(start.labels, task === 'SEQ_CLS' ? ['even', 'odd'] : null);
        assert.ok(furthest(values[0]!, values[1]!) > 1e-6, `${name} for ${task} does not read the text`);
      }
    });

    it('classifies each word by its first token', async () => {
      for (const { folder, name } of trained.filter(({ task }) => task === 'TOKEN_CLS')) {
        const { start, values } = await read(scorer, {
          adapter: folder,
          task: 'classify',
          inputs: ['ab cde, f', ['ab', 'cde', ',', 'f']],
        });
        assert.equal(start.kind, 'words');
        assert.deepEqual(start.labels, ['X', 'Y']);
        assert.equal(furthest(values[0]!, values[1]!), 0);
        const [whole] = await one(base, folder, ['ab cde , f']);
        // Each byte is a token, and the space belongs to the word after it.
        for (const [word, at] of [0, 2, 6, 8].entries()) {
          const [x, y] = whole!.slice(2 * at, 2 * at + 2);
          const most = [y! > x! ? 1 : 0, 1 / (1 + Math.exp(-Math.abs(x! - y!)))];
          assert.ok(
            furthest(values[0]!.subarray(2 * word, 2 * word + 2), most) < 1e-5,
            `${name}, word ${word}`,
          );
        }
      }
    });

    it('refuses class names that are too long to be returned', async () => {
      const { folder } = trained.find(({ task }) => task === 'SEQ_CLS')!;
      const long = at(`${family}-long`);
      await cp(folder, long, { recursive: true });
      await writeFile(join(long, 'labels.json'), JSON.stringify(['even', 'o'.repeat(4097)]));
      await assert.rejects(read(scorer, { adapter: long, task: 'classify', inputs: ['a'] }), {
        code: 'unsupported_labels',
        param: 'model',
      });
    });

    it('loads the base again at the limit of shapes, once what is in use ends, and computes the same', async () => {
      const classifiers = trained.filter(
        ({ task, name }) => task === 'SEQ_CLS' && ['lora', 'a wider lora', 'prefix'].includes(name),
      );
      if (classifiers.length < 3) return;
      const limits = { most: 2, teamLimit: 2, wait: 600_000 };
      const models = new ScoredModels(base, { context: 200, updateBytes: 2 ** 20 }, limits);
      const use = (i: number) => models.use(classifiers[i]!.folder, 'classify');
      const valuesOf = async (model: ScoredModel) => {
        await model.ready();
        return model.run([{ ids: [5, 6, 7], updates: null }]).map((row) => [...row]);
      };
      try {
        const held = [await use(0), await use(1)];
        const values = await valuesOf(held[0]!);
        assert.equal(models.shapes, 2);
        const third = use(2);
        await nextTurn();
        // Not before the others have ended.
        assert.equal(models.shapes, 2);
        for (const model of held) model.release();
        const next = await third;
        assert.equal(models.shapes, 1);
        await valuesOf(next);
        const again = await use(0);
        assert.equal(models.shapes, 2);
        assert.deepEqual(await valuesOf(again), values);
      } finally {
        await models.close();
      }
    });

    it('ends the request of a client that goes away, and of wrong inputs, and no other', async () => {
      const { folder } = trained.find(({ task }) => task === 'FEATURE_EXTRACTION')!;
      const gone = new AbortController();
      const many = Array.from({ length: 600 }, (_, i) => `${texts[i % texts.length]}`);
      const leaving = async () => {
        for await (const next of scorer.score({
          adapter: folder,
          task: 'embed',
          inputs: many,
          signal: gone.signal,
        }))
          if (Array.isArray(next)) gone.abort(new Error('gone'));
      };
      const wrong = (inputs: ScoredInput[], code: string) =>
        assert.rejects(read(scorer, { adapter: folder, task: 'embed', inputs }), { code, param: 'input' });
      const [kept] = await Promise.all([
        read(scorer, { adapter: folder, task: 'embed', inputs: texts, team: 'other' }),
        assert.rejects(leaving(), /gone/),
        wrong(['a', 'b'.repeat(201)], 'context_length_exceeded'),
        wrong([[1, -1]], 'invalid_token_id'),
        wrong([['a', 'b']], 'unsupported_input'),
        wrong([[]], 'empty_prompt'),
      ]);
      const alone = await read(scorer, { adapter: folder, task: 'embed', inputs: texts });
      assert.deepEqual(kept.values, alone.values);
      await assert.rejects(read(scorer, { adapter: folder, task: 'classify', inputs: ['a'] }), {
        code: 'unsupported_task',
      });
    });
  });
