/** What a step on a card is fed and fetches, and that nothing in it is left to the processor; of a model of 7 billion parameters too. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type RecordedFunction, type RecordedNode, recordFunctions } from '@graft/tf-graph';
import { openBaseModel } from '../../files.ts';
import { architectureFor } from '../../models/registry.ts';
import { layingOutFor } from '../../nn/computation.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { type GenerateRequest, openGenerator } from '../generator.ts';
import type { AskedPiece } from '../step.ts';
import { buildCardProgram } from './card-program.ts';
import { cardRoom } from './card-room.ts';

const at = tempFolder();
const ROWS = 4;
const bytesOf = { float32: 4, int32: 4, bool: 1 } as Record<string, number>;

/** Bytes of the outputs of a node that a run is fed or fetches. */
function crossing(fn: RecordedFunction, refs: string[]): number[] {
  const byName = new Map(fn.nodes.map((node) => [node.name, node]));
  return refs.flatMap((ref) => {
    const [name, output] = [ref.slice(0, ref.lastIndexOf(':')), Number(ref.slice(ref.lastIndexOf(':') + 1))];
    const node = byName.get(name);
    // What a function is fed and does not read is not among its nodes.
    if (!node) return [];
    const { dtype, shape } = node.outputs[output]!;
    return [shape!.reduce((size, n) => size * n, bytesOf[dtype]!)];
  });
}

/** Operations on int32 that a card has the processor do. */
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

test('a step fetches ids alone, and the likeliest tokens where they are asked for', async () => {
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
    // An id; with the likeliest tokens its log-probability, and 20 ids and log-probabilities.
    assert.deepEqual(bytes, fn.name.endsWith('_20') ? [4, 4, 80, 80] : [4], fn.name);
  }
});

/** Llama 2 7B's sizes; all of its 32 layers are alike. */
const sevenBillion = {
  ...{ model_type: 'llama', hidden_size: 4096, intermediate_size: 11008, num_hidden_layers: 4 },
  ...{ num_attention_heads: 32, num_key_value_heads: 32, vocab_size: 32000, max_position_embeddings: 4096 },
  ...{ rms_norm_eps: 1e-5, rope_theta: 10000, hidden_act: 'silu', tie_word_embeddings: false },
};

test('a step of a 7B: what crosses the bus, and how many operations a layer has', async () => {
  const architecture = architectureFor('llama', sevenBillion);
  const limits = { context: 4096, rows: ROWS, cacheBytes: 2 ** 29, updateBytes: 2 ** 27, memoryBytes: 24e9 };
  const greedy = {
    ...{ temperature: 0, topP: 1, topK: 0, minP: 0, repetitionPenalty: 1.1 },
    ...{ uniform: 0.5, ids: [1, 2, 3], logprobs: 20 },
  };
  const pieceOf = (start: number, count: number): AskedPiece => ({
    ids: Array.from({ length: count }, (_, i) => i),
    ...{ start, updates: null, input: null, ask: { ...greedy, temperature: 1, topP: 0.9 } },
    blocks: Array.from({ length: 256 }, (_, i) => 2 + i),
  });
  const functions = await recordFunctions(() =>
    layingOutFor('gpu', async () => {
      const room = cardRoom(architecture, limits, 'bfloat16');
      const { program, attach } = buildCardProgram(architecture, limits, 'bfloat16', room);
      const model = attach(null);
      if (!('choose' in model)) throw new Error('the model chooses nothing');
      // The graphs are there once it finds that the weights are not.
      assert.throws(() => model.choose([pieceOf(4000, 1)]), /has no value yet/);
      assert.throws(() => model.choose([pieceOf(0, 2000)]), /has no value yet/);
      program.close();
    }),
  );
  const [token, prompt] = functions.filter(({ name }) => name.includes('/step_'));
  checkStep(token!);
  checkStep(prompt!);
  // Of the whole function; a model of one layer less would tell those of a layer alone.
  const nodes = (fn: RecordedFunction) => fn.nodes.filter(({ op }) => op !== 'Const').length;
  const others = 200;
  assert.ok(nodes(token!) < 4 * 96 + others, `${nodes(token!)} nodes for a token`);
  assert.ok(nodes(prompt!) < 4 * 225 + others, `${nodes(prompt!)} nodes for a prompt`);
  const gathered = token!.nodes.filter(({ op }) => op === 'ResourceGather');
  assert.equal(gathered.length, 8);
  for (const { outputs } of gathered) assert.equal(outputs[0]!.dtype, 'bfloat16');
});
