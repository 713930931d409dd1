/** Compares attention in blocks with attention in one block: packed rows, windows, encoders, memories, prefixes. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ProgramBuilder, type ProgramFunction, recordFunctions, tf } from '@graft/tf-graph';
import { parsePeftConfig } from '../config/index.ts';
import { architectureFor } from '../models/registry.ts';
import { withComputation } from '../nn/computation.ts';
import { distance } from '../nn/testing/against-stock.ts';
import type { TaskType } from '../outlines/outline.ts';
import { Random } from '../random.ts';
import { tinyFamilies } from '../testing/tiny-families.ts';
import { tinyConfig } from '../testing/tiny-model.ts';
import { weightGroups } from '../weights/stored-weights.ts';
import { packedForward } from './packed-forward.ts';
import { adapterTensors, declarePeftModel } from './peft-model.ts';

const [rows, tokens] = [2, 24];
/** Lengths of the sequences of each row; the rest is padding. */
const lengths = [
  [13, 9],
  [4, 8, 12],
];
const prefix = 5;

const lora = { peft_type: 'LORA', r: 2, target_modules: 'all-linear' };
const prefixTuning = { peft_type: 'PREFIX_TUNING', num_virtual_tokens: prefix };
const mistral = { model_type: 'mistral', sliding_window: 6 };
const cases: [string, Record<string, unknown>, TaskType, Record<string, unknown>][] = [
  ['llama', {}, 'CAUSAL_LM', lora],
  ['llama with a prefix', {}, 'CAUSAL_LM', prefixTuning],
  ['mistral', mistral, 'CAUSAL_LM', lora],
  ['mistral with a prefix', mistral, 'CAUSAL_LM', prefixTuning],
  ['gpt2', tinyFamilies.gpt2, 'CAUSAL_LM', lora],
  ['bert', tinyFamilies.bert, 'SEQ_CLS', lora],
  ['bert with a prefix', tinyFamilies.bert, 'FEATURE_EXTRACTION', prefixTuning],
  ['t5', tinyFamilies.t5, 'SEQ_2_SEQ_LM', lora],
  ['t5 with a prefix', tinyFamilies.t5, 'SEQ_2_SEQ_LM', prefixTuning],
];

const perToken = { shape: [rows * tokens], dtype: 'int32' } as const;
const seed = { shape: [2], dtype: 'int32' } as const;
const inputs = { ids: perToken, positions: perToken, segments: perToken, seed };

for (const [name, config, task, options] of cases)
  for (const checkpointing of [false, true])
    test(`${name}, ${checkpointing ? 'checkpointed' : 'with all that is kept'}`, async () => {
      const fields = { ...tinyConfig, ...config };
      const peft = parsePeftConfig({ ...options, task_type: task });
      const architecture = architectureFor(`${fields.model_type}`, fields, task);
      const builder = new ProgramBuilder();
      const model = declarePeftModel(builder, architecture, peft, 'float32');
      const random = new Random(3, 'test');
      const numbers = (size: number) => Float32Array.from({ length: size }, () => 0.3 * random.normal());
      const functions: ProgramFunction<typeof inputs, Record<'hidden' | 'gradients', tf.Tensor>>[] = [];
      const recorded = await recordFunctions(async () => {
        for (const scoreBytes of [null, 1200])
          functions.push(
            builder.function(`${scoreBytes}`, inputs, ({ ids, positions, segments, seed }) =>
              withComputation({ scoreBytes }, () => {
                const own = { rows, tokens, ids, positions, segments };
                const parameters = adapterTensors(model);
                const constants: tf.Tensor[] = [];
                const training = { random: { seed, stream: 0 }, constants, checkpointing };
                const total = (...values: tf.Tensor[]) => {
                  const given = new Map([...parameters.keys()].map((key, i) => [key, values[i]!]));
                  const input = architecture.encoder ? { ...own, rows, tokens } : null;
                  const { hidden } = packedForward(model, given, own, input, training);
                  // Outputs at padding positions are undefined and do not count.
                  const read = tf.cast(tf.greater(segments, 0), 'float32');
                  kept = tf.keep(tf.mul(hidden, tf.expandDims(read, 1)));
                  return tf.sum(tf.sin(kept));
                };
                let kept: tf.Tensor | undefined;
                const { grads } = tf
                  .engine()
                  .gradients(() => total(...parameters.values()), [...parameters.values()], undefined, true);
                const all = [...parameters.values()].map((value, i) => grads[i] ?? tf.zeros(value.shape));
                return { hidden: kept!, gradients: model.layout.concat(all) };
              }),
            ),
          );
        const program = builder.build();
        try {
          const frozen = weightGroups(architecture, 'float32', false, model.stacks).flatMap(
            ({ name, parts }) =>
              parts.map(
                ({ suffix, shape }) => [name + suffix, numbers(shape.reduce((a, b) => a * b, 1))] as const,
              ),
          );
          const adapter = ['adapter', numbers(model.layout.size)] as const;
          await program.write([...frozen, adapter].map(([name, values]) => [name, values]));
          const begin = options === prefixTuning ? prefix : 0;
          const of = (value: (segment: number, position: number) => number, padding = 0) =>
            Int32Array.from(
              lengths.flatMap((row) => {
                const used = row.flatMap((length, s) => Array.from({ length }, (_, i) => value(s + 1, i)));
                return [...used, ...Array<number>(tokens - used.length).fill(padding)];
              }),
            );
          const feeds = {
            ids: of((segment, i) => 3 + ((7 * i + segment) % 40)),
            positions: of((_, i) => begin + i),
            segments: of((segment) => segment),
            seed: Int32Array.of(1, 2),
          };
          const [whole, blocks] = functions.map((fn) => {
            const { hidden, gradients } = program.run(fn, feeds);
            return [hidden, gradients].map(({ data }) => Float32Array.from(data as Float32Array));
          });
          // Gradients add up more roundings, and more of them on processors with narrow registers.
          for (const [i, [what, most]] of [
            ['hidden states', 1e-5] as const,
            ['gradients', 1e-4] as const,
          ].entries()) {
            const off = distance(blocks![i]!, whole![i]!);
            assert.ok(whole![i]!.some((x) => x !== 0) && off < most, `${what} are off by ${off}`);
          }
        } finally {
          program.close();
        }
      });
      const [atOnce, inBlocks] = recorded.map(
        ({ nodes }) => nodes.filter(({ op }) => op === 'Softmax').length,
      );
      assert.ok(inBlocks! > 3 * atOnce!, `${inBlocks} and ${atOnce} products`);
    });
