import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { ProgramBuilder, scalarOf } from '@graft/tf-graph';
import { parsePeftConfig, resolveTraining } from '../../../config/index.ts';
import type { GraftError } from '../../../errors.ts';
import { fillBatch, planTraining, roundToLabels, TextNumbers } from '../../../examples/index.ts';
import { type BaseModel, openBaseModel, readAdapter } from '../../../files.ts';
import { Random } from '../../../random.ts';
import { scoreTexts } from '../../../score/score-texts.ts';
import { writeTinyModel } from '../../../testing/tiny-model.ts';
import { trainRecords } from '../../../testing/train-adapter.ts';
import { loadWeights } from '../../../weights/load-weights.ts';
import type { TrainOptions, TrainRecord } from '../../records.ts';
import { setUpTraining } from '../../setup.ts';
import { startValues } from '../../start-values.ts';
import { buildTrainProgram } from '../../train-program.ts';
import { feedsOf } from '../losses.ts';
import { contrastInputs, contrastOfUnits } from './loss.ts';

let root: string;
const models: Record<string, BaseModel> = {};
const at = (...names: string[]) => path.join(root, ...names);

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-pairs-'));
  const kinds = {
    encoder: { model_type: 'bert', hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 },
    dropping: { model_type: 'bert', hidden_dropout_prob: 0.2, attention_probs_dropout_prob: 0.2 },
    decoder: {},
  };
  for (const [name, config] of Object.entries(kinds)) {
    await writeTinyModel(at(name), config);
    models[name] = await openBaseModel(at(name));
  }
});
after(async () => {
  for (const base of Object.values(models)) await base.close();
  await rm(root, { recursive: true });
});

const plain = (i: number) => ({ anchor: `${i} a`, positive: `${i} is the same` });
const withSomeNegatives = (i: number) => ({
  ...plain(i),
  ...(i % 3 ? { negative: `not ${i + 1}, ${'b'.repeat(i % 4)}` } : {}),
});

async function optionsOf(
  model: string,
  name: string,
  lines: object[],
  training: Record<string, unknown>,
  peft: Record<string, unknown> = {},
): Promise<TrainOptions> {
  const trainingFile = at(`${name}.jsonl`);
  await writeFile(trainingFile, lines.map((line) => JSON.stringify(line)).join('\n'));
  const config = parsePeftConfig({
    peft_type: 'LORA',
    task_type: 'FEATURE_EXTRACTION',
    r: 4,
    ...peft,
    target_modules: model === 'decoder' ? ['q_proj', 'v_proj'] : ['query', 'value'],
  });
  const asked = { learning_rate: 0.02, precision: 'fp32' as const, ...training };
  return {
    base: models[model]!,
    baseModelName: 'tiny',
    trainingFile,
    peft: config,
    outputDir: at(name),
    training: resolveTraining({ peft: config, training: asked, exampleCount: lines.length }),
  };
}

const stepsOf = (records: TrainRecord[]) =>
  records.flatMap((record) => (record.type === 'step' ? [record] : []));
const doneOf = (records: TrainRecord[]) => records.at(-1) as Extract<TrainRecord, { type: 'done' }>;
const many = (count: number, line: (i: number) => object) => Array.from({ length: count }, (_, i) => line(i));

// From scripts/golden/testdata/contrastive_losses.py: results of sentence-transformers, plain and cached.
interface Reference {
  pairs: number;
  width: number;
  cases: Record<string, Record<'plain' | 'cached', Measured> & { vectors: number[] }>;
}
interface Measured {
  loss: number;
  gradients: number[];
}

test('losses and gradients of vectors are those of sentence-transformers, plain and cached', async () => {
  const file = path.join(import.meta.dirname, 'testdata', 'contrastive-losses.json');
  const { pairs, width, cases }: Reference = JSON.parse(await readFile(file, 'utf8'));
  for (const [name, { vectors, ...references }] of Object.entries(cases)) {
    const texts = Int32Array.from({ length: vectors.length / width }, (_, i) => i);
    const builder = new ProgramBuilder();
    const contrast = builder.function(
      'contrast',
      contrastInputs(pairs, texts.length / pairs, width),
      contrastOfUnits,
    );
    const program = builder.build();
    const units = Float32Array.from(vectors);
    const scales = new Float32Array(pairs).fill(1 / pairs);
    const out = program.run(contrast, { units, texts, label_scales: scales });
    // The cosine does not depend on a vector's length.
    const slopes = Array.from(texts).flatMap((row) => {
      const own = (all: ArrayLike<number>) => Array.from({ length: width }, (_, i) => all[row * width + i]!);
      const [unit, slope] = [own(units), own(out.slopes.data)];
      const along = unit.reduce((sum, x, i) => sum + x * slope[i]!, 0);
      return slope.map((x, i) => x - along * unit[i]!);
    });
    for (const [kind, { loss, gradients }] of Object.entries(references)) {
      assert.ok(Math.abs(scalarOf(out.loss) - loss) < 1e-5, `${name}, ${kind}: ${loss}`);
      const far = Math.max(...slopes.map((x, i) => Math.abs(x - gradients[i]!)));
      assert.ok(far < 1e-5, `${name}, ${kind}: gradients differ by ${far}`);
    }
    program.close();
  }
});

for (const model of ['encoder', 'decoder']) {
  test(`${model}: mini-batches of any size give the losses and gradients of the whole batch`, async () => {
    // Steps of 8 and 5 pairs, some of them with the same texts; mini-batches of 3 leave a remainder of 2.
    const lines = [...many(11, withSomeNegatives), plain(1), { anchor: '7 a', positive: 'another' }];
    const common = { batch_size: 8, n_epochs: 2, warmup_steps: 0 };
    const whole = await optionsOf(model, `${model}-whole`, lines, common);
    const wanted = stepsOf(await trainRecords(whole));
    assert.equal(wanted.length, 4);
    const adapter = await readAdapter(whole.outputDir);
    for (const [name, more] of Object.entries({
      three: { mini_batch_size: 3 },
      one: { mini_batch_size: 1, gradient_checkpointing: true },
      grid: { mini_batch_size: 5, packing: false },
    })) {
      const cached = await optionsOf(model, `${model}-${name}`, lines, { ...common, ...more });
      const found = stepsOf(await trainRecords(cached));
      for (const [i, { loss, gradNorm, tokenAccuracy }] of found.entries()) {
        const { loss: ofWhole, gradNorm: norm } = wanted[i]!;
        assert.ok(Math.abs(loss - ofWhole) < 1e-5, `${name}: losses ${loss}, ${ofWhole}`);
        assert.ok(
          Math.abs(gradNorm - norm) < 1e-5 * Math.max(1, norm),
          `${name}: norms ${gradNorm}, ${norm}`,
        );
        assert.equal(tokenAccuracy, wanted[i]!.tokenAccuracy);
      }
      assert.equal(found.length, wanted.length);
      const { tensors } = await readAdapter(cached.outputDir);
      for (const [key, { data }] of adapter.tensors)
        for (const [i, value] of data.entries())
          assert.ok(Math.abs(value - tensors.get(key)!.data[i]!) < 1e-4, `${name}: ${key}`);
    }
  });
}

test('steps of several batches, each in mini-batches, lose what they lose without these', async () => {
  const lines = many(13, plain);
  const common = { batch_size: 4, gradient_accumulation_steps: 2, n_epochs: 2 };
  const whole = stepsOf(await trainRecords(await optionsOf('encoder', 'two-whole', lines, common)));
  const options = await optionsOf('encoder', 'two-cached', lines, { ...common, mini_batch_size: 3 });
  const cached = stepsOf(await trainRecords(options));
  assert.equal(cached.length, 4);
  for (const [i, { loss, gradNorm }] of cached.entries()) {
    assert.ok(Math.abs(loss - whole[i]!.loss) < 1e-5);
    assert.ok(Math.abs(gradNorm - whole[i]!.gradNorm) < 1e-5 * Math.max(1, gradNorm));
  }
});

for (const checkpointing of [false, true]) {
  test(`dropout draws the same both times${checkpointing ? ', recomputed too' : ''}: gradients are those of the loss`, async () => {
    const training = { batch_size: 6, mini_batch_size: 4, gradient_checkpointing: checkpointing };
    const options = await optionsOf('dropping', 'dropout', many(6, withSomeNegatives), training, {
      lora_dropout: 0.2,
    });
    const { base, peft } = options;
    const { architecture, data, objective, layout, computation } = await setUpTraining(options);
    const plan = planTraining(data.training, options.training, layout);
    const built = buildTrainProgram({
      architecture,
      objective,
      peft,
      form: 'trained',
      training: options.training,
      ...computation,
      storage: 'float32',
      precision: 'fp32',
      grid: plan.shape,
      evaluationGrid: null,
      wholeBatch: roundToLabels(6),
    });
    const { program, model, update, varies } = built;
    assert.ok('cached' in update);
    await loadWeights(program, base, architecture, 'float32', { stacks: model.stacks });
    const random = new Random(3, 'test');
    // In the start values B is zero, which makes the gradient of A zero.
    const start = (await startValues(model, base, { seed: 1 })).map((x) => x + 0.1 * random.normal());
    const texts = new TextNumbers();
    const parts = [0, 1].map((i) => ({
      filled: fillBatch(plan, data.training, 0, i, layout, texts),
      seed: Int32Array.of(7, i),
      first: 4 * i,
    }));
    const lossAt = async (values: Float32Array) => {
      const zeros = new Float32Array(start.length);
      await program.write([
        ['adapter', values],
        ['gradient_sum', zeros],
      ]);
      return scalarOf(
        update.cached.run(program, parts, (batch) => feedsOf(objective, batch, 6, varies)).loss,
      );
    };
    await lossAt(start);
    const gradient = program.read(['gradient_sum']).get('gradient_sum') as Float32Array;
    const length = Math.hypot(...gradient);
    const along = (t: number) => lossAt(start.map((x, i) => x + (t * gradient[i]!) / length));
    const slope = ((await along(0.01)) - (await along(-0.01))) / 0.02;
    assert.ok(Math.abs(slope - length) < 0.01 * length, `${slope} and ${length}`);
    program.close();
  });
}

/** Cosines of texts as embedded by the plain base model, or with an adapter. */
async function cosines(texts: readonly string[], adapterDir: string | null = null) {
  const all = [...new Set(texts)];
  const vectors = new Map<string, readonly number[]>();
  const input = all.map((text) => ({ text }));
  for await (const score of scoreTexts({ base: models.encoder!, adapterDir, input }))
    if ('embedding' in score) vectors.set(all[vectors.size]!, score.embedding as number[]);
  const product = (a: string, b: string) =>
    vectors.get(a)!.reduce((sum, x, i) => sum + x * vectors.get(b)![i]!, 0);
  return (a: string, b: string) => product(a, b) / Math.sqrt(product(a, a) * product(b, b));
}

const textsOf = (lines: readonly object[]) => lines.map((line) => Object.values(line) as string[]);
const areRelated = ([a, p]: readonly string[], [b, q]: readonly string[]) =>
  [b, q].some((text) => text === a || text === p);

test('a text that is the same as a pair’s own is no negative; to jobs of versions before it was one', async () => {
  // One anchor with two correct answers, a reversed pair, a duplicate pair, and a negative that is an answer.
  const lines = [
    plain(1),
    { anchor: '1 a', positive: 'b' },
    { anchor: '1 is the same', positive: '1 a' },
    { anchor: 'aa', positive: 'bb' },
    { anchor: 'aa', positive: 'bb' },
    { anchor: 'aba', positive: 'bab', negative: 'bb' },
  ];
  const lossOf = async (name: string, isOld: boolean) => {
    const options = await optionsOf('encoder', name, lines, {
      batch_size: 6,
      max_steps: 1,
      learning_rate: 1e-12,
    });
    if (isOld) delete (options.training as Partial<typeof options.training>).mini_batch_size;
    return stepsOf(await trainRecords(options))[0]!.loss;
  };
  const texts = textsOf(lines);
  const cosine = await cosines(texts.flat());
  const expected = (isNegative: (own: string[], other: string[], text: string) => boolean) => {
    const losses = texts.map((own) => {
      const [anchor, positive] = own as [string, string];
      const candidates = texts.flatMap((other) => other.slice(1).map((text) => ({ other, text })));
      const odds = candidates
        .filter(({ other, text }) => !(other === own && text === positive) && isNegative(own, other, text))
        .map(({ text }) => Math.exp(20 * (cosine(anchor, text) - cosine(anchor, positive))));
      return Math.log(1 + odds.reduce((sum, each) => sum + each, 0));
    });
    return losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  };
  const wanted = expected(
    (own, other, text) => !own.slice(0, 2).includes(text) && !(text === other[1] && areRelated(own, other)),
  );
  const all = expected(() => true);
  assert.ok(all - wanted > 0.1);
  for (const [name, isOld, loss] of [['now', false, wanted] as const, ['before', true, all] as const]) {
    const found = await lossOf(name, isOld);
    assert.ok(Math.abs(found - loss) < 1e-4, `${name}: ${found}, ${loss}`);
  }
});

test('evaluation ranks positives among all validation pairs, whatever the batch', async () => {
  const lines = [
    ...many(9, withSomeNegatives),
    { anchor: '1 a', positive: 'another answer' },
    { anchor: '2 is the same', positive: '2 a' },
    plain(3),
  ];
  const common = { max_steps: 1, learning_rate: 1e-12 };
  const measured: { loss: number; metrics: Record<string, number> }[] = [];
  for (const [name, training] of Object.entries({
    'eval-2': { batch_size: 2 },
    'eval-12': { batch_size: 12 },
    'eval-apart': { batch_size: 12, packing: false },
    'eval-mini': { batch_size: 12, mini_batch_size: 4 },
  })) {
    const options = await optionsOf('encoder', name, lines, { ...common, ...training });
    const done = doneOf(await trainRecords({ ...options, validationFile: options.trainingFile }));
    measured.push({ loss: done.validationLoss!, metrics: done.metrics });
  }
  const [first, ...others] = measured as [(typeof measured)[0], ...typeof measured];
  for (const { loss, metrics } of others) {
    assert.ok(Math.abs(loss - first.loss) < 1e-5, `${loss}, ${first.loss}`);
    assert.deepEqual(metrics, first.metrics);
  }
  // From the vectors that scoring returns.
  const texts = textsOf(lines);
  const cosine = await cosines(texts.flat(), at('eval-12'));
  const candidates = [...new Set(texts.flatMap(([, ...rest]) => rest))];
  const sums = { loss: 0, recall_at_1: 0, recall_at_10: 0, mrr: 0 };
  for (const [anchor, positive] of texts as [string, string][]) {
    const right = texts.filter((other) => areRelated([anchor, positive], other)).map(([, p]) => p);
    const negatives = candidates.filter((text) => text !== anchor && !right.includes(text));
    const own = cosine(anchor, positive);
    const rank = 1 + negatives.filter((text) => cosine(anchor, text) >= own).length;
    const odds = negatives.map((text) => Math.exp(20 * (cosine(anchor, text) - own)));
    sums.loss += Math.log(1 + odds.reduce((sum, each) => sum + each, 0)) / lines.length;
    sums.recall_at_1 += Number(rank === 1) / lines.length;
    sums.recall_at_10 += Number(rank <= 10) / lines.length;
    sums.mrr += 1 / rank / lines.length;
  }
  assert.ok(Math.abs(sums.loss - first.loss) < 1e-3, `${sums.loss}, ${first.loss}`);
  assert.ok(sums.mrr > 0.1 && sums.mrr < 0.999, `${sums.mrr} shows nothing`);
  for (const name of ['recall_at_1', 'recall_at_10', 'mrr'] as const)
    assert.ok(
      Math.abs(sums[name] - first.metrics[name]!) < 1e-6,
      `${name}: ${sums[name]}, ${first.metrics[name]}`,
    );
  assert.equal(first.metrics.accuracy, first.metrics.recall_at_1);
});

test('the best model may be the one of the best mean reciprocal rank, also after a run was resumed', async () => {
  const options = await optionsOf('encoder', 'best', many(12, plain), {
    batch_size: 4,
    eval_steps: 1,
    max_steps: 4,
    n_epochs: 4,
    checkpoint_steps: 1,
    metric_for_best_model: 'eval_mrr',
    load_best_model_at_end: true,
    validation_split: 0.4,
  });
  const records = await trainRecords(options);
  const evaluations = records.flatMap((r) => (r.type === 'evaluation' ? [r] : []));
  const { best } = doneOf(records);
  assert.equal(best!.metric, 'eval_mrr');
  assert.equal(best!.value, Math.max(...evaluations.map(({ metrics }) => metrics.mrr!)));
  const checkpointDir = at('best-checkpoints');
  const stop = new AbortController();
  const cut = { ...options, outputDir: at('best-again'), checkpointDir };
  await trainRecords({ ...cut, signal: stop.signal }, (record) => {
    if (record.type === 'step' && record.step === 2) stop.abort();
    return false;
  });
  const resumed = doneOf(await trainRecords({ ...cut, resume: true }));
  assert.deepEqual(resumed.best, best);
});

test('pairs that teach nothing are refused, and what is at fault is named', async () => {
  const refused = async (lines: object[], training: object, code: string, param: string) => {
    const options = await optionsOf('encoder', 'refused', lines, { max_steps: 1, ...training });
    await assert.rejects(
      trainRecords(options),
      (error: GraftError) => error.code === code && error.param === param,
      `${code} ${JSON.stringify(lines)}`,
    );
  };
  const unfit = ['data_unfit_for_task', 'training_file'] as const;
  await refused([plain(1)], {}, ...unfit);
  const sameAnchors = many(4, (i) => ({ anchor: 'the same', positive: `${i}` }));
  await refused(sameAnchors, {}, ...unfit);
  const samePositives = many(4, (i) => ({ anchor: `${i}`, positive: 'the same' }));
  await refused(samePositives, {}, ...unfit);
  const triangle = [
    { anchor: 'a', positive: 'b' },
    { anchor: 'c', positive: 'b' },
    { anchor: 'c', positive: 'a' },
  ];
  await refused(triangle, {}, ...unfit);
  await refused(many(4, plain), { batch_size: 1 }, 'invalid_training_option', 'training.batch_size');

  const learns = async (lines: object[], training: object) => {
    const options = await optionsOf('encoder', 'learns', lines, { max_steps: 1, ...training });
    const [step] = stepsOf(await trainRecords(options));
    assert.ok(step!.loss > 0 && step!.gradNorm > 0, JSON.stringify(step));
  };
  await learns(
    many(4, (i) => ({ ...plain(i), negative: 'b' })),
    { batch_size: 1 },
  );
  await learns([...triangle, { anchor: 'aaa', positive: 'bbb' }], {});
  await learns(many(4, plain), { batch_size: 2, mini_batch_size: 1 });
});
