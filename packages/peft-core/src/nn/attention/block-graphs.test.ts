/** Checks the graph of attention in blocks for models that are too large to run in a test. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nodeOf, ProgramBuilder, type RecordedNode, recordFunctions, tf } from '@graft/tf-graph';
import { parsePeftConfig, resolveTraining } from '../../config/index.ts';
import { architectureFor } from '../../models/registry.ts';
import type { TaskType } from '../../outlines/outline.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { tinyConfig } from '../../testing/tiny-model.ts';
import { buildTrainProgram } from '../../train/train-program.ts';
import { layingOutFor, type MatmulPrecision, withComputation } from '../computation.ts';
import { attention } from './attention.ts';
import { type PackedCausalOptions, packedCausalMask } from './masks.ts';
import { scoreBias } from './score-bias.ts';

interface Shape extends PackedCausalOptions {
  rows: number;
  tokens: number;
  heads: number;
  kvHeads: number;
  /** A bias by distance, up to this distance. */
  reach?: number;
  dropout?: number;
  shares?: boolean;
}

const D = 128;

/** The nodes of attention and of its gradients, in a graph for a GPU. */
async function nodesOf(
  { rows, tokens, heads, kvHeads, reach, shares, dropout: probability = 0, ...options }: Shape,
  precision: MatmulPrecision,
): Promise<RecordedNode[]> {
  const float = (...shape: number[]) => ({ shape, dtype: 'float32' }) as const;
  const perToken = { shape: [rows * tokens], dtype: 'int32' } as const;
  const inputs = {
    q: float(rows, heads, tokens, D),
    k: float(rows, kvHeads, tokens, D),
    v: float(rows, kvHeads, tokens, D),
    table: float(2 * (reach ?? 0) + 1, heads),
    segments: perToken,
    positions: perToken,
    parents: perToken,
    seed: { shape: [2], dtype: 'int32' } as const,
  };
  const [recorded] = await recordFunctions(() =>
    layingOutFor('gpu', async () => {
      const builder = new ProgramBuilder();
      builder.function('f', inputs, ({ q, k, v, table, segments, positions, parents, seed }) =>
        withComputation({ precision, implementation: 'stock' }, () => {
          const packed = { segments, positions, ...(shares ? { parents } : {}) };
          const mask = packedCausalMask(packed, rows, options);
          const y = () => {
            const bias = reach === undefined ? undefined : scoreBias(undefined, table, tokens);
            const dropout = { probability, random: { seed, stream: 0 } };
            return attention(q, k, v, mask, { bias, dropout });
          };
          const { value, grads } = tf
            .engine()
            .gradients(() => tf.sum(tf.square(y())), [q, k, v, table], undefined, true);
          const found = (grads as (tf.Tensor | undefined)[]).flatMap((gradient) => gradient ?? []);
          return { value, ...Object.fromEntries(found.map((gradient, i) => [`d${i}`, gradient])) };
        }),
      );
      builder.build().close();
    }),
  );
  return recorded!.nodes;
}

const bytes = { float32: 4, bfloat16: 2, int32: 4, bool: 1 } as Record<string, number>;
const sizeOf = (shape: number[] | null) => (shape ?? []).reduce((product, length) => product * length, 1);
const bytesOf = ({ outputs }: RecordedNode) =>
  Math.max(0, ...outputs.map(({ dtype, shape }) => (bytes[dtype] ?? 8) * sizeOf(shape)));

const long = { rows: 1, tokens: 8192, heads: 32, kvHeads: 32 };
const shapes: Record<string, Shape> = {
  '8,192 tokens': long,
  '8,192 tokens of grouped heads': { ...long, kvHeads: 8 },
  '8,192 tokens in a window': { ...long, window: 1024 },
  '8,192 tokens with shared beginnings': { ...long, shares: true },
  '8,192 tokens with dropout': { ...long, dropout: 0.1 },
  '8,192 tokens with a bias by distance': { ...long, reach: 128 },
  '4 rows of 2,048 tokens': { ...long, rows: 4, tokens: 2048 },
};
const BUDGET = 256 * 2 ** 20;

for (const [name, shape] of Object.entries(shapes))
  test(`attention of ${name} has no tensor of more than its budget, and one block's scores at a time`, async () => {
    for (const precision of ['fp32', 'bf16'] as const) {
      const nodes = await nodesOf(shape, precision);
      const largest = nodes.reduce((most, node) => Math.max(most, bytesOf(node)), 0);
      assert.ok(largest <= BUDGET, `${precision}: ${largest} bytes`);
      assert.ok(nodes.length < 3000, `${nodes.length} nodes`);

      const byName = new Map(nodes.map((node) => [node.name, node]));
      const readers = new Map<string, RecordedNode[]>();
      for (const node of nodes)
        for (const input of node.inputs) {
          const name = nodeOf(input);
          readers.set(name, [...(readers.get(name) ?? []), node]);
        }
      const products = (node: RecordedNode): string[] =>
        node.op === 'BatchMatMulV2' ? [node.name] : (readers.get(node.name) ?? []).flatMap(products);
      const needed = (node: RecordedNode, seen = new Set<string>()): Set<string> => {
        for (const before of [...node.inputs.map(nodeOf), ...node.controls]) {
          if (seen.has(before)) continue;
          seen.add(before);
          needed(byName.get(before)!, seen);
        }
        return seen;
      };
      const blocks = nodes.filter(({ op }) => op === 'Softmax');
      assert.ok(blocks.length > 4);
      for (const [i, block] of blocks.slice(1).entries()) {
        const before = needed(block);
        for (const product of new Set(products(blocks[i]!))) assert.ok(before.has(product), product);
      }
    }
  });

test('keys that no query of a block can see are not computed with', async () => {
  const scores = async (shape: Shape) =>
    (await nodesOf(shape, 'fp32'))
      .filter(({ op }) => op === 'Softmax')
      .reduce((sum, { outputs }) => sum + sizeOf(outputs[0]!.shape), 0);
  // The scores are computed once in the forward pass and once for the gradients.
  const all = 2 * long.heads * long.tokens ** 2;
  assert.equal(await scores(long), (all * 9) / 16);
  assert.equal(await scores({ ...long, shares: true, window: 1024 }), (all * 9) / 16);
  assert.ok((await scores({ ...long, window: 1024 })) < all / 4);
});

const prefix = { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 20 };
const lora = { peft_type: 'LORA', r: 2 };
const steps: [string, Record<string, unknown>, TaskType, Record<string, unknown>][] = [
  ['llama', tinyConfig, 'CAUSAL_LM', lora],
  ['llama with a prefix', tinyConfig, 'CAUSAL_LM', prefix],
  ['mistral', { ...tinyConfig, model_type: 'mistral', sliding_window: 32 }, 'CAUSAL_LM', lora],
  ['gpt2', { ...tinyConfig, ...tinyFamilies.gpt2, n_positions: 512 }, 'CAUSAL_LM', lora],
  ['t5', { ...tinyConfig, ...tinyFamilies.t5 }, 'SEQ_2_SEQ_LM', lora],
  ['t5 with a prefix', { ...tinyConfig, ...tinyFamilies.t5 }, 'SEQ_2_SEQ_LM', prefix],
  ['bert', { ...tinyConfig, ...tinyFamilies.bert, max_position_embeddings: 512 }, 'SEQ_CLS', lora],
];
/** A tensor with one float32 per pair of tokens has four times this number of bytes. */
const tokens = 256;

for (const [name, config, task, options] of steps)
  test(`${name}: no operation of a step leaves many whole numbers to the processor`, async () => {
    const peft = parsePeftConfig({ ...options, task_type: task });
    const architecture = architectureFor(`${config.model_type}`, config, task);
    const [recorded] = await recordFunctions(() =>
      layingOutFor('gpu', async () => {
        const { program } = buildTrainProgram({
          architecture,
          peft,
          objective: 'next_token',
          form: 'trained',
          storage: 'float32',
          precision: 'bf16',
          implementation: 'stock',
          evaluationGrid: null,
          grid: {
            rows: 1,
            tokens,
            labels: 32,
            sequences: 1,
            spans: 4,
            inputTokens: architecture.encoder ? tokens : 0,
          },
          training: resolveTraining({ peft, exampleCount: 8, hasValidationFile: false }),
        });
        program.close();
      }),
    );
    const { nodes } = recorded!;
    const types = new Map(
      nodes.flatMap(({ name, outputs }) => outputs.map(({ dtype }, i) => [`${name}:${i}`, dtype])),
    );
    // The GPU has its own kernels for casts from or to integers, and for rows selected by integers.
    const own = ['Cast', 'GatherV2', 'ResourceGather'];
    const left = nodes.filter(
      (node) =>
        !own.includes(node.op) &&
        bytesOf(node) > 64 * 1024 &&
        (node.outputs.some(({ dtype }) => dtype === 'int32') ||
          node.inputs.slice(0, 1).some((input) => types.get(input) === 'int32')),
    );
    assert.deepEqual(
      left.map(({ op, outputs }) => `${op} ${outputs[0]!.shape}`),
      [],
    );
  });
