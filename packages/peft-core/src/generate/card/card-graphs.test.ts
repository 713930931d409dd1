/** Tests the feeds and fetches of a step on a GPU, and that no operation runs on the CPU; also for a model with 7 billion parameters. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RecordedFunction, type RecordedNode, recordFunctions } from '@graft/tf-graph';
import { openBaseModel } from '../../files.ts';
import type { Architecture } from '../../models/architecture.ts';
import { architectureFor } from '../../models/registry.ts';
import { layingOutFor } from '../../nn/computation.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import type { BaseStorage } from '../../weights/base-storage.ts';
import type { PlacedAdapter } from '../arenas/update-arena.ts';
import { type GenerateRequest, openGenerator } from '../generator.ts';
import type { PieceToSample } from '../step.ts';
import { workspaceBytes } from './card-budget.ts';
import { buildCardProgram } from './card-program.ts';

const at = tempFolder();
const ROWS = 4;
const bytesOf = { float32: 4, int32: 4, bool: 1 } as Record<string, number>;

/** Bytes of a node's outputs that a run feeds or fetches. */
function crossing(fn: RecordedFunction, refs: string[]): number[] {
  const byName = new Map(fn.nodes.map((node) => [node.name, node]));
  return refs.flatMap((ref) => {
    const [name, output] = [ref.slice(0, ref.lastIndexOf(':')), Number(ref.slice(ref.lastIndexOf(':') + 1))];
    const node = byName.get(name);
    // A feed that the function does not read is not among its nodes.
    if (!node) return [];
    const { dtype, shape } = node.outputs[output]!;
    return [shape!.reduce((size, n) => size * n, bytesOf[dtype]!)];
  });
}

/** Checks whether the operation is on int32, which TensorFlow runs on the CPU. */
const isLeftToProcessor = ({ op, outputs }: RecordedNode): boolean =>
  outputs.some(({ dtype }) => dtype === 'int32') &&
  !['Placeholder', 'Const', 'Cast', 'TopKV2', 'Identity', 'GatherV2'].includes(op);

function checkStep(fn: RecordedFunction): void {
  const moved = [...crossing(fn, fn.feeds), ...crossing(fn, fn.fetches)];
  assert.ok(Math.max(...moved) <= ROWS * 2 ** 16, `${fn.name}: ${Math.max(...moved)} bytes at once`);
  const left = fn.nodes.filter(isLeftToProcessor).map(({ name, op }) => `${op} ${name}`);
  assert.deepEqual(left, [], fn.name);
  assert.deepEqual(
    fn.nodes.filter(({ op }) => op.startsWith('Graft')),
    [],
  );
}

test('a step fetches only ids, and the likeliest tokens if requested', async () => {
  await writeTinyModel(at('model'));
  const base = await openBaseModel(at('model'));
  const functions = await recordFunctions(() =>
    layingOutFor('gpu', async () => {
      const generator = await openGenerator({ base, context: 64, rows: ROWS });
      const ask = async (request: GenerateRequest) => {
        for await (const _ of generator.generate({ prompt: 'abc', max_tokens: 3, ...request }));
      };
      await ask({});
      await ask({ temperature: 1, seed: 1 });
      await ask({ temperature: 1, seed: 1, top_p: 0.9, repetition_penalty: 1.1 });
      await ask({ logprobs: 5 });
      await generator.close();
    }),
  );
  await base.close();
  const steps = functions.filter(({ name }) => name.includes('/step_'));
  assert.equal(steps.length, 8, 'of a prompt and of a token, in four ways');
  for (const fn of steps) {
    checkStep(fn);
    const bytes = crossing(fn, fn.fetches);
    // An id; with top log-probabilities also its log-probability, and 20 ids and log-probabilities.
    assert.deepEqual(bytes, /_20_[01]$/.test(fn.name) ? [4, 4, 80, 80] : [4], fn.name);
  }
});

/** Llama 2 7B's sizes; all of its 32 layers are alike. */
const sevenBillion = {
  model_type: 'llama',
  hidden_size: 4096,
  intermediate_size: 11008,
  num_hidden_layers: 4,
  num_attention_heads: 32,
  num_key_value_heads: 32,
  vocab_size: 32000,
  max_position_embeddings: 4096,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  hidden_act: 'silu',
  tie_word_embeddings: false,
};

const limits = { context: 4096, rows: ROWS, cacheBytes: 2 ** 29, updateBytes: 2 ** 27 };

/** The steps for a token of every row and for a prompt of 2,000 tokens, with an adapter's update. */
async function stepsOf(architecture: Architecture, storage: BaseStorage): Promise<RecordedFunction[]> {
  const ask = {
    temperature: 1,
    topP: 0.9,
    topK: 0,
    minP: 0,
    repetitionPenalty: 1.1,
    uniform: 0.5,
    ids: [1, 2, 3],
    logprobs: 20,
  };
  const updates: PlacedAdapter & { begin: number; size: number } = { begin: 0, size: 16, users: 1 };
  const pieceOf = (start: number, count: number): PieceToSample => ({
    ids: Array.from({ length: count }, (_, i) => i),
    start,
    length: start + count,
    updates,
    input: null,
    ask,
    blocks: Array.from({ length: 256 }, (_, i) => 2 + i),
  });
  const functions = await recordFunctions(() =>
    layingOutFor('gpu', async () => {
      const budget = { blocks: 300, updateBytes: 4e7, sequences: ROWS };
      const { program, shared } = buildCardProgram(architecture, limits, storage, budget);
      const { model } = (await shared())!;
      if (!('choose' in model)) throw new Error('the model chooses nothing');
      // The graphs are built before the run fails because the weights are missing.
      const tokens = Array.from({ length: ROWS }, () => pieceOf(4000, 1));
      assert.throws(() => model.choose(tokens), /has no value yet/);
      assert.throws(() => model.choose([pieceOf(0, 2000)]), /has no value yet/);
      program.close();
    }),
  );
  return functions.filter(({ name }) => name.includes('/step_'));
}

test('a step of a 7B: what crosses the bus, and how many operations a layer has', async () => {
  const [token, prompt] = await stepsOf(architectureFor('llama', sevenBillion), 'bfloat16');
  checkStep(token!);
  checkStep(prompt!);
  // Counts the whole function; about 200 nodes do not belong to a layer.
  const nodes = (fn: RecordedFunction) => fn.nodes.filter(({ op }) => op !== 'Const').length;
  const [layers, others] = [sevenBillion.num_hidden_layers, 200];
  assert.ok(nodes(token!) < layers * 200 + others, `${nodes(token!)} nodes for a token`);
  assert.ok(nodes(prompt!) < layers * 330 + others, `${nodes(prompt!)} nodes for a prompt`);
  // Reads of the cache, and of both factors of seven modules per layer and of the head: arrays written in parts are never read as a whole.
  const gathered = token!.nodes.filter(({ op }) => op === 'ResourceGather');
  assert.equal(gathered.length, 2 * layers + 2 * (7 * layers + 1));
  const whole = token!.nodes.filter(
    ({ op, outputs }) => op === 'ReadVariableOp' && outputs[0]!.shape![0] === 56,
  );
  assert.deepEqual(whole, [], 'arrays of lanes');
  for (const { outputs } of gathered) assert.equal(outputs[0]!.dtype, 'bfloat16');
});

/** Bytes in memory at each node, keeping each tensor until its last use, in the order in which nodes were added. */
function liveBytes({ nodes }: RecordedFunction): number {
  const wide: Record<string, number> = {
    ...bytesOf,
    float64: 8,
    int64: 8,
    bfloat16: 2,
    uint16: 2,
    uint8: 1,
    int8: 1,
  };
  const same = new Map<string, string>();
  const source = (ref: string): string => (same.has(ref) ? source(same.get(ref)!) : ref);
  const sizes = new Map<string, number>();
  const lastUse = new Map<string, number>();
  for (const [at, { op, name, inputs, outputs }] of nodes.entries()) {
    for (const ref of inputs) lastUse.set(source(ref), at);
    for (const [i, { dtype, shape }] of outputs.entries()) {
      if (op === 'Reshape' || op === 'Identity') same.set(`${name}:${i}`, inputs[0]!);
      else if (dtype !== 'resource' && op !== 'ReadVariableOp')
        sizes.set(
          `${name}:${i}`,
          shape!.reduce((size, n) => size * n, wide[dtype]!),
        );
    }
  }
  let [live, most] = [0, 0];
  const freed = new Map<number, string[]>();
  for (const [ref, at] of lastUse) freed.set(at, [...(freed.get(at) ?? []), ref]);
  for (const [at, { name, outputs }] of nodes.entries()) {
    for (const i of outputs.keys()) live += sizes.get(`${name}:${i}`) ?? 0;
    most = Math.max(most, live);
    for (const ref of freed.get(at) ?? []) live -= sizes.get(ref) ?? 0;
  }
  return most;
}

for (const storage of ['bfloat16', 'int8', 'nf4'] as const)
  test(`a step on a base in ${storage} computes with no more than is kept free for it`, async () => {
    for (const vocab_size of [32_000, 128_256]) {
      const architecture = architectureFor('llama', { ...sevenBillion, vocab_size });
      const kept = workspaceBytes(architecture, limits, storage);
      for (const fn of await stepsOf(architecture, storage)) {
        const live = liveBytes(fn);
        assert.ok(live < kept, `${fn.name} holds ${live}, and ${kept} are kept`);
        assert.ok(kept < 12 * live, `${fn.name} holds ${live}, and ${kept} are kept`);
      }
    }
  });
