import assert from 'node:assert/strict';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { tf } from '@graft/tf-graph';
import { checkGradients } from '@graft/tf-graph/testing';
import { parsePeftConfig, resolveTraining } from '../config/index.ts';
import { type BaseModel, openBaseModel, readAdapter, writeAdapter } from '../files.ts';
import { mergeAdapter, type ScoreInput, scoreTexts, train } from '../index.ts';
import { architectureFor } from '../models/registry.ts';
import { outlineOf, type TaskType } from '../outlines/index.ts';
import { countOf } from '../tuners/file-tensors.ts';
import { methodOf, unmergeable } from '../tuners/methods.ts';
import { attach, keysOf } from '../tuners/registry.ts';
import { constantParameters, trainedParameters } from '../tuners/trained-parameters.ts';
import type { AdapterParameter, LayerContext } from '../tuners/tuner.ts';
import { writeTinyModel } from './tiny-model.ts';

/** A tiny model, and data for its task. */
export interface ConformanceModel {
  /** Fields of config.json. */
  config: Record<string, unknown>;
  /** Returns one of eight lines of training data. */
  line(i: number): object;
  probes: ScoreInput[];
}

/** Tests the requirements for every tuner with each of these `peft` configurations, by name, on one tiny model. */
export function testTuners(
  model: ConformanceModel,
  configurations: Record<string, Record<string, unknown>>,
): void {
  const folderOf = (name: string) => path.join(root, name.replaceAll(/\W+/g, '-'));
  const attached = (options: Record<string, unknown>) => {
    const peft = parsePeftConfig(options);
    const architecture = architectureFor(base.modelType, base.config, peft.task_type);
    return { architecture, ...attach(peft, architecture, 'trained') };
  };

  const isUnmergeable = (options: Record<string, unknown>) =>
    unmergeable(parsePeftConfig(options), attached(options).architecture) !== null;

  let root: string;
  let base: BaseModel;

  before(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'graft-conformance-'));
    await writeTinyModel(path.join(root, 'model'), model.config);
    base = await openBaseModel(path.join(root, 'model'));
    const lines = Array.from({ length: 8 }, (_, i) => JSON.stringify(model.line(i)));
    await writeFile(path.join(root, 'train.jsonl'), lines.join('\n'));
  });
  after(async () => {
    await base.close();
    await rm(root, { recursive: true });
  });

  async function trained(name: string, options: Record<string, unknown>): Promise<string> {
    const outputDir = folderOf(name);
    const peft = parsePeftConfig(options);
    const training = resolveTraining({
      peft,
      training: { learning_rate: 0.02, batch_size: 4, max_steps: 6 },
      exampleCount: 8,
    });
    const records = train({
      base,
      baseModelName: 'tiny',
      trainingFile: path.join(root, 'train.jsonl'),
      peft,
      training,
      outputDir,
    });
    for await (const record of records) if (record.type === 'done') return record.adapterDir;
    throw new Error('training did not end');
  }

  for (const [name, options] of Object.entries(configurations)) {
    test(`${name}: has an effect, and merged into the base, if it can be, it scores the same`, async () => {
      const adapterDir = await trained(name, options);
      const adapted = await score(base, adapterDir, model.probes);
      assert.ok(
        distance(adapted, await score(base, null, model.probes)) > 1e-3,
        'the adapter changes nothing',
      );
      const merged = path.join(root, `${path.basename(adapterDir)}-merged`);
      const merging = mergeAdapter({ base, adapterDir, outputDir: merged });
      if (isUnmergeable(options)) {
        await assert.rejects(merging, { code: 'not_exportable' });
        return;
      }
      await merging;
      const opened = await openBaseModel(merged);
      assert.ok(distance(adapted, await score(opened, null, model.probes)) < 1e-4);
      await opened.close();
    });

    test(`${name}: read and written again, its files are the same bytes`, async () => {
      const adapterDir = folderOf(name);
      const { config, tensors } = await readAdapter(adapterDir);
      const again = `${adapterDir}-again`;
      const card = { steps: null, trainedTokens: null, finalLoss: null, validationLoss: null };
      await writeAdapter(again, {
        peft: config,
        baseModelNameOrPath: 'tiny',
        tensors,
        card,
        baseConfig: base.config,
      });
      const files = (await readdir(adapterDir)).filter((file) => file !== 'README.md');
      assert.ok(files.length >= 2);
      for (const file of files) {
        assert.deepEqual(
          await readFile(path.join(again, file)),
          await readFile(path.join(adapterDir, file)),
          file,
        );
      }
    });

    test(`${name}: how many numbers it trains is known without TensorFlow`, () => {
      const { parameters } = attached(options);
      const outline = outlineOf(base.config, options.task_type as TaskType);
      const peft = parsePeftConfig(options);
      assert.equal(trainedParameters(peft, outline) + constantParameters(peft, outline), countOf(parameters));
    });

    test(`${name}: what its files hold is known without TensorFlow`, () => {
      const peft = parsePeftConfig(options);
      const { fileTensors } = methodOf(peft);
      if (!fileTensors) return assert.equal(methodOf(peft).library, 'adapters');
      const architecture = architectureFor(base.modelType, base.config, peft.task_type);
      const { parameters, copies = [] } = attach(peft, architecture, 'folded');
      const keyOf = keysOf(peft);
      const listed = (tensors: { name: string; shape: number[] }[]) =>
        tensors.map(({ name, shape }) => `${keyOf(name)} ${shape}`).sort();
      const known = fileTensors(peft, outlineOf(base.config, peft.task_type));
      const keys = (needless: boolean) =>
        known
          .filter((each) => (each.needless ?? false) === needless)
          .map(({ key, shape }) => `${key} ${shape}`);
      assert.deepEqual(keys(false).sort(), listed(parameters.filter(({ unsaved }) => !unsaved)));
      assert.deepEqual(keys(true).sort(), listed(copies));
    });

    test(`${name}: gradients agree with finite differences`, () => {
      const {
        architecture,
        parameters,
        linears = new Map(),
        embeddings = new Map(),
        residualAdds = new Map(),
        derive,
      } = attached(options);
      // Factors that are derived from trained ones; an encoder of soft prompts wraps no linear module.
      const derives = derive !== undefined && linears.size > 0;
      // DoRA's norm deliberately has no gradient, so the tensors that it is computed from are fixed.
      const learns = ({ name, constant }: AdapterParameter) =>
        !constant && (!options.use_dora || name.endsWith('magnitude_vector'));
      const fixed = (name: string) => architecture.parameters.find((p) => p.name === name)?.shape;
      for (const [module, wrap] of [...linears].slice(0, 4)) {
        const { in: width, out, transposed } = architecture.modules.find((m) => m.name === module)!;
        const own = ownOf(module);
        const base = (x: tf.Tensor) => tf.mul(tf.sum(x, -1, true), tf.ones([1, out!]));
        const shape = transposed ? [width!, out!] : [out!, width!];
        const weight = { kind: 'trained', tensor: tf.ones(shape) } as const;
        checkGradients(
          (x, ...tensors) => wrap(contextOf(own, tensors), x!, base, { product: base, weight, bias: null }),
          [tf.randomUniform([3, width!], -1, 1, 'float32', 7), ...own.learning.map(({ value }) => value())],
          { samples: 16 },
        );
      }
      for (const [module, wrap] of [...embeddings].slice(0, 4)) {
        const own = ownOf(module);
        if (own.learning.length === 0) continue; // Soft prompts are tested below.
        const ids = tf.tensor1d([3, 0, 3, 7], 'int32');
        const { in: width } = architecture.modules.find((m) => m.name === module)!;
        const base = () => tf.ones([4, width!]);
        checkGradients(
          (...tensors) => wrap(contextOf(own, tensors), ids, base),
          own.learning.map(({ value }) => value()),
          { samples: 16 },
        );
      }

      /** The module's parameters with their values: those whose gradient is checked, and the others. */
      function ownOf(module: string) {
        const isOwn = ({ name }: AdapterParameter) =>
          name.startsWith(`${module}.`) || (derives && name.includes(`.${module}.`));
        const all = parameters
          .filter((parameter) => derives || parameter.constant || isOwn(parameter))
          .map((parameter, i) => ({
            name: parameter.name,
            value: () => tf.randomUniform(parameter.shape, -1, 1, 'float32', i + 1),
            isLearning: learns(parameter) && isOwn(parameter),
          }));
        return {
          learning: all.filter(({ isLearning }) => isLearning),
          still: all.filter(({ isLearning }) => !isLearning),
        };
      }
      function contextOf({ learning, still }: ReturnType<typeof ownOf>, tensors: tf.Tensor[]) {
        const byName = new Map(learning.map(({ name }, i) => [name, tensors[i]!]));
        for (const { name, value } of still) byName.set(name, value());
        const context: LayerContext = {
          parameter: (key: string) => byName.get(key)!,
          weight(name: string) {
            const shape = fixed(name)!;
            const read = () => tf.ones(shape);
            return {
              kind: 'frozen',
              shape,
              read,
              gather: (ids: tf.Tensor) => tf.gather(read(), ids),
            } as const;
          },
        };
        if (derives) for (const [name, tensor] of derive(context)) byName.set(name, tensor);
        return context;
      }
      for (const [module, wrap] of [...residualAdds].slice(0, 4)) {
        const own = parameters.filter((p) => p.name.startsWith(`${module}.adapters.`));
        const values = own.map((p, i) => tf.randomUniform(p.shape, -1, 1, 'float32', i + 1));
        const hidden = (seed: number) =>
          tf.randomUniform([3, architecture.hiddenSize], -1, 1, 'float32', seed);
        // A smooth replacement for the norm of a post-norm model.
        const norm = (x: tf.Tensor) => tf.tanh(x);
        const finish = (x: tf.Tensor) => tf.mul(x, 2);
        checkGradients(
          (output, residual, ...tensors) => {
            const byName = new Map(own.map((p, i) => [p.name, tensors[i]!]));
            const context = { parameter: (key: string) => byName.get(key)!, weight: () => null };
            return wrap(context, output!, residual!, norm, finish);
          },
          [hidden(7), hidden(8), ...values],
          { samples: 16 },
        );
      }
      const attachment = attached(options);
      if (!attachment.virtualTokens && !attachment.prefix) return;
      const own = parameters.filter((p) => p.name.startsWith('prompt_'));
      const prompt = (...tensors: tf.Tensor[]) => {
        const byName = new Map(own.map((p, i) => [p.name, tensors[i]!]));
        const context = { parameter: (key: string) => byName.get(key)!, weight: () => null };
        for (const [name, tensor] of attachment.derive?.(context) ?? []) byName.set(name, tensor);
        const { keys, values } = attachment.prefix?.(context, { layer: 1 }) ?? {};
        if (keys) return tf.concat([keys, values!], 0);
        const { tokenEmbedding, vocabularySize, hiddenSize } = architecture;
        const ids = tf.tensor1d([vocabularySize + 1, 4, vocabularySize, vocabularySize + 1], 'int32');
        const embed = attachment.embeddings!.get(tokenEmbedding)!;
        return embed(context, ids, (ids) => tf.ones([ids.shape[0]!, hiddenSize]));
      };
      // Values at which no unit of an encoder's ReLU is near its kink.
      const values = own.map((p, i) => tf.randomUniform(p.shape, -1, 1, 'float32', i + 41));
      checkGradients(prompt, values, { samples: 16 });
    });
  }
}

async function score(model: BaseModel, adapterDir: string | null, input: ScoreInput[]): Promise<number[]> {
  const all: number[] = [];
  for await (const score of scoreTexts({ base: model, adapterDir, input })) {
    if ('logprobs' in score) all.push(...score.logprobs);
    else if ('embedding' in score) all.push(...score.embedding);
    else all.push(...score.logits.flat());
  }
  return all;
}

const distance = (a: number[], b: number[]) => Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));
