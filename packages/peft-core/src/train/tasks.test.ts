import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { parsePeftConfig, resolveTraining } from '../config/index.ts';
import type { GraftError } from '../errors.ts';
import { type BaseModel, openBaseModel, readAdapter } from '../files.ts';
import type { Score } from '../score/score.ts';
import { scoreTexts } from '../score/score-texts.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { type TestTrainOptions, trainRecords } from '../testing/train-adapter.ts';
import type { TrainOptions, TrainRecord } from './records.ts';
import { verifyAdapter } from './verification/verify-adapter.ts';

let root: string;
const at = (...names: string[]) => path.join(root, ...names);
/** A BERT without its own dropout, so that losses are comparable. */
const encoder = { model_type: 'bert', hidden_dropout_prob: 0, attention_probs_dropout_prob: 0 };
const opened = new Map<string, BaseModel>();

before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-tasks-'));
});
after(async () => {
  for (const base of opened.values()) await base.close();
  await rm(root, { recursive: true });
});

async function modelOf(name: string, config: Record<string, unknown>): Promise<BaseModel> {
  const known = opened.get(name);
  if (known) return known;
  await writeTinyModel(at(name), config);
  const base = await openBaseModel(at(name));
  opened.set(name, base);
  return base;
}

const lines: Record<string, (i: number) => object> = {
  SEQ_CLS: (i) => ({ text: `${'ab'[i % 2]!.repeat(2 + (i % 5))}`, label: i % 2 ? 'odd' : 'even' }),
  several: (i) => ({
    text: `${'ab'[i % 2]!.repeat(2 + (i % 5))}`,
    labels: [...(i % 2 ? ['odd'] : []), ...(i % 5 > 2 ? ['long'] : [])],
  }),
  TOKEN_CLS: (i) => ({
    tokens: ['aa', 'bb', 'a'].slice(0, 2 + (i % 2)),
    labels: [0, 1, 0].slice(0, 2 + (i % 2)),
  }),
  pairs: (i) => ({
    anchor: `${i} a`,
    positive: `${i} is the same`,
    ...(i % 3 ? { negative: `not ${i + 1}` } : {}),
  }),
  scored_pairs: (i) => ({ sentence1: `${i} a`, sentence2: `${i} ab`, score: (i % 4) / 4 }),
};

async function optionsOf(
  base: BaseModel,
  kind: string,
  name: string,
  training: Record<string, unknown> = {},
): Promise<TrainOptions> {
  const trainingFile = at(`${kind}.jsonl`);
  const all = Array.from({ length: 16 }, (_, i) => JSON.stringify(lines[kind]!(i)));
  await writeFile(trainingFile, all.join('\n'));
  const peft = parsePeftConfig({
    peft_type: 'LORA',
    task_type: kind.includes('pairs') ? 'FEATURE_EXTRACTION' : kind === 'several' ? 'SEQ_CLS' : kind,
    r: 4,
    target_modules: base.modelType === 'bert' ? ['query', 'value'] : ['q_proj', 'v_proj'],
  });
  return {
    base,
    baseModelName: 'tiny',
    trainingFile,
    validationFile: trainingFile,
    peft,
    training: resolveTraining({
      peft,
      training: {
        learning_rate: 0.02,
        batch_size: 4,
        max_steps: 8,
        n_epochs: 2,
        precision: 'fp32',
        ...training,
      },
      exampleCount: 16,
    }),
    outputDir: at(name),
  };
}

const run = (options: TestTrainOptions) => trainRecords(options);

const lossesOf = (records: TrainRecord[]) => records.flatMap((r) => (r.type === 'step' ? [r.loss] : []));
const doneOf = (records: TrainRecord[]) => records.at(-1) as Extract<TrainRecord, { type: 'done' }>;

for (const kind of Object.keys(lines)) {
  for (const model of ['encoder', 'decoder']) {
    test(`${kind} on an ${model}: packed or not, in one batch or accumulated, the losses are the same`, async () => {
      const base = await modelOf(model, model === 'encoder' ? encoder : { classifier_dropout: 0 });
      // Pairs are measured among all pairs, so losses are comparable only if a batch holds all of them.
      const whole = kind === 'pairs' ? { batch_size: 16, n_epochs: 8 } : {};
      const [packed, apart] = [
        await run(await optionsOf(base, kind, `${kind}-${model}`, whole)),
        await run(await optionsOf(base, kind, `${kind}-${model}-apart`, { ...whole, packing: false })),
      ];
      const [a, b] = [lossesOf(packed), lossesOf(apart)];
      for (const [i, loss] of a.entries()) assert.ok(Math.abs(loss - b[i]!) < 1e-4, `${a} and ${b}`);
      const { metrics, validationLoss } = doneOf(packed);
      assert.ok(validationLoss! < a[0]!, 'nothing was learned');
      assert.ok(
        Object.values(metrics).every((value) => value >= -1 && value <= 1),
        JSON.stringify(metrics),
      );
      // Negatives come from the micro-batch, so accumulation changes only a contrastive loss.
      if (kind === 'pairs') return;
      const halves = { batch_size: 2, gradient_accumulation_steps: 2 };
      const accumulated = lossesOf(await run(await optionsOf(base, kind, `${kind}-${model}-halves`, halves)));
      for (const [i, loss] of a.entries()) assert.ok(Math.abs(loss - accumulated[i]!) < 1e-4);
    });
  }
}

test('the base model drops while training, not when measured, and a resumed run repeats the bits', async () => {
  const base = await modelOf('dropping', {
    ...encoder,
    hidden_dropout_prob: 0.2,
    attention_probs_dropout_prob: 0.2,
  });
  const options = await optionsOf(base, 'SEQ_CLS', 'dropping-whole', {
    learning_rate: 1e-12,
    batch_size: 16,
  });
  const records = await run(options);
  const losses = lossesOf(records);
  // Without learning every step has the same examples, so only dropout changes the loss.
  assert.ok(new Set(losses).size > 1);
  const again = await run({ ...options, outputDir: at('dropping-again') });
  assert.deepEqual(lossesOf(again), losses);
  const evaluations = records.flatMap((r) => (r.type === 'evaluation' ? [r.loss] : []));
  assert.ok(Math.max(...evaluations) - Math.min(...evaluations) < 1e-6);

  const stop = new AbortController();
  const checkpointDir = at('dropping-checkpoints');
  const cut = { ...(await optionsOf(base, 'SEQ_CLS', 'dropping-resumed')), checkpointDir };
  await trainRecords({ ...cut, signal: stop.signal }, (record) => {
    if (record.type === 'step' && record.step === 3) stop.abort();
    return false;
  });
  await run({ ...cut, resume: true });
  const whole = await optionsOf(base, 'SEQ_CLS', 'dropping-uncut');
  await run(whole);
  const weights = (folder: string) => readFile(path.join(folder, 'adapter_model.safetensors'));
  assert.deepEqual(await weights(cut.outputDir), await weights(whole.outputDir));
});

test('what is published is verified: its files give the live loss, and the untrained model another', async () => {
  const base = await modelOf('encoder', encoder);
  for (const kind of ['SEQ_CLS', 'pairs', 'scored_pairs']) {
    const options = await optionsOf(base, kind, `${kind}-verified`);
    const { verification } = doneOf(await run({ ...options, verify: true }));
    const { reloadedLoss, baseLoss } = await verifyAdapter({ ...options, adapterDir: options.outputDir });
    assert.ok(
      Math.abs(reloadedLoss - verification!.loss) < 1e-5,
      `${kind}: ${reloadedLoss}, ${verification!.loss}`,
    );
    assert.ok(Math.abs(baseLoss - reloadedLoss) > 1e-4, kind);
  }
});

async function scoresOf(base: BaseModel, adapterDir: string | null): Promise<Score[]> {
  const scores: Score[] = [];
  for await (const score of scoreTexts({ base, adapterDir, input: [{ text: 'aaa' }, { text: 'bb' }] }))
    scores.push(score);
  return scores;
}

test('a classifier is saved with its head and the names of its classes, and scores them', async () => {
  const base = await modelOf('encoder', encoder);
  const folder = at('SEQ_CLS-encoder');
  const { config, labels, tensors } = await readAdapter(folder);
  assert.deepEqual(labels, ['even', 'odd']);
  assert.deepEqual('modules_to_save' in config && config.modules_to_save, ['classifier', 'score']);
  assert.deepEqual(tensors.get('base_model.model.classifier.weight')?.shape, [2, 32]);
  assert.match(
    await readFile(path.join(folder, 'README.md'), 'utf8'),
    /from_pretrained\(base, num_labels=2\)/,
  );
  const scores = await scoresOf(base, folder);
  assert.ok(scores.every((score) => 'logits' in score && score.logits.length === 2));
  const [tagged] = await scoresOf(base, at('TOKEN_CLS-encoder'));
  assert.ok(tagged && 'logits' in tagged && tagged.logits.length === tagged.input_ids.length);
  const [embedded] = await scoresOf(base, at('pairs-encoder'));
  assert.ok(embedded && 'embedding' in embedded && embedded.embedding.length === 32);
});

test('a base model that brings a head is scored with it and trained from it; one without is refused', async () => {
  const head = {
    ...encoder,
    architectures: ['BertForSequenceClassification'],
    id2label: { 0: 'odd', 1: 'even' },
  };
  const base = await modelOf('with-head', head);
  const [own] = await scoresOf(base, null);
  assert.ok(own && 'logits' in own);
  const options = await optionsOf(base, 'SEQ_CLS', 'from-head', { learning_rate: 1e-12, max_steps: 1 });
  await run(options);
  const { labels } = await readAdapter(options.outputDir);
  assert.deepEqual(labels, ['odd', 'even']);
  const [trained] = await scoresOf(base, options.outputDir);
  assert.ok(trained && 'logits' in trained);
  const [a, b] = [own.logits.flat(), trained.logits.flat()];
  assert.ok(
    a.every((value, i) => Math.abs(value - b[i]!) < 1e-5),
    `${a} and ${b}`,
  );

  const headless = { ...base, config: { ...base.config, architectures: ['BertForTokenClassification'] } };
  await assert.rejects(
    scoresOf({ ...headless, tensors: without(base.tensors, 'classifier.weight') }, null),
    (error: GraftError) => error.code === 'task_head_missing' && /classifier\.weight/.test(error.message),
  );
});

function without(tensors: BaseModel['tensors'], name: string): BaseModel['tensors'] {
  return {
    names: () => tensors.names().filter((each) => each !== name),
    has: (each) => each !== name && tensors.has(each),
    info: (each) => tensors.info(each),
    readFloat32: (each, out) => tensors.readFloat32(each, out),
    readBfloat16: (each, out) => tensors.readBfloat16(each, out),
  };
}

test('an encoder without a pooler embeds, but cannot classify a sequence', async () => {
  const base = await modelOf('encoder', encoder);
  const poolerless = { ...base, tensors: without(base.tensors, 'pooler.dense.weight') };
  assert.equal((await scoresOf(poolerless, null)).length, 2);
  await assert.rejects(
    scoresOf(poolerless, at('SEQ_CLS-encoder')),
    (error: GraftError) =>
      error.code === 'invalid_model' && /lacks bert\.pooler\.dense\.weight/.test(error.message),
  );
});

test('data of another task is refused before anything is loaded', async () => {
  const base = await modelOf('encoder', encoder);
  const options = await optionsOf(base, 'SEQ_CLS', 'unfit');
  const trainingFile = at('pairs.jsonl');
  await assert.rejects(
    run({ ...options, trainingFile }),
    (error: GraftError) => error.code === 'data_unfit_for_task' && error.param === 'training_file',
  );
});
