import { type Program, ProgramBuilder, tf } from '@graft/tf-graph';
import type { PeftConfig } from '../config.ts';
import type { Architecture } from '../models/architecture.ts';
import { adapterTensors, attachAdapter, type PeftModel } from '../peft-model.ts';
import { declareWeights } from '../stored-weights.ts';
import { cachedAttention, type LayerCache } from './cached-attention.ts';

/** How many tokens one run takes: one while decoding, more while a prompt is read. */
export const STRIDES = [1, 16, 64, 256] as const;

/** A base model and the key-value cache of one sequence. Adapters join it while it stays loaded, and share both. */
export interface GenerationProgram {
  program: Program;
  /** Positions in the cache: prompt and answer together. */
  context: number;
  /** The plain base model, or an adapter of this config on it; its values still have to be written. */
  attach(peft: PeftConfig | null): AnsweringModel;
  /** Empties the cache; once before the first run. */
  clear(): Promise<void>;
}

/** One model of the program. Functions are traced when they are first needed. */
export interface AnsweringModel {
  model: PeftModel;
  /** Sets the adapter's values. */
  write(values: Float32Array): Promise<void>;
  /** Writes the adapter's prefix into the first positions of the cache: after new values, and after another model's turn. */
  prime(): void;
  /**
   * Takes `ids`, at most the largest stride, at positions start… into the cache and gives the logits `(V)` after the last one.
   * The stride's other tokens are filler: what they leave in the cache is overwritten before anything sees it.
   */
  extend(stride: number, ids: readonly number[], start: number): Float32Array;
}

export function buildGenerationProgram(architecture: Architecture, context: number): GenerationProgram {
  const builder = new ProgramBuilder();
  const weights = declareWeights(builder, architecture, 'float32', true);
  const { kvHeads, headSize, layers } = architecture;
  const shape = [kvHeads, context, headSize];
  const cache = Array.from({ length: layers }, (_, layer) => ({
    keys: builder.variable({ name: `cache.k.${layer}`, shape }),
    values: builder.variable({ name: `cache.v.${layer}`, shape }),
  }));
  const program = builder.build();
  const empty = cache
    .flatMap(({ keys, values }) => [keys, values])
    .map(({ name, shape }) => [name, shape.reduce((a, b) => a * b, 1)] as const);
  let attached = 0;
  return {
    program,
    context,
    clear: () => program.write(empty.map(([name, size]) => [name, new Float32Array(size)])),
    attach(peft) {
      const name = `adapter.${attached++}`;
      const model = attachAdapter(builder, architecture, weights, peft, { form: 'folded', name });
      builder.extend(program);
      return answeringModel(name, model, { builder, program, cache, context });
    },
  };
}

function answeringModel(
  name: string,
  model: PeftModel,
  shared: { builder: ProgramBuilder; program: Program; cache: LayerCache[]; context: number },
): AnsweringModel {
  const { builder, program, cache, context } = shared;
  // Attention costs as much as the window it looks at, so short sequences get a short one.
  const windows = [...new Set([256, 1024].filter((w) => w < context).concat(context))];
  const traced = new Set<string>();
  const once = (name: string, declare: () => void): string => {
    if (!traced.has(name)) {
      declare();
      builder.extend(program);
      traced.add(name);
    }
    return name;
  };
  return {
    model,
    async write(values) {
      if (model.adapter) await program.write([[model.adapter.name, values]]);
    },
    prime() {
      if (!model.attachment?.prefix) return;
      program.run(
        once(`${name}/prime`, () => declarePrime(builder, `${name}/prime`, model, cache)),
        {},
      );
    },
    extend(stride, ids, start) {
      const window = windows.find((w) => w >= start + stride)!;
      const extend = once(`${name}/extend_${stride}_${window}`, () =>
        declareExtend(builder, `${name}/extend_${stride}_${window}`, model, cache, { stride, window }),
      );
      const padded = new Int32Array(stride);
      padded.set(ids);
      const feeds = { ids: padded, start: Int32Array.of(start), last: Int32Array.of(ids.length - 1) };
      return program.run(extend, feeds).logits!.data as Float32Array;
    },
  };
}

/** `stride` new tokens over the first `window` positions of the cache. */
function declareExtend(
  builder: ProgramBuilder,
  name: string,
  model: PeftModel,
  cache: LayerCache[],
  { stride, window }: { stride: number; window: number },
): void {
  const { architecture } = model;
  const scalar = { shape: [], dtype: 'int32' } as const;
  const inputs = { ids: { shape: [stride], dtype: 'int32' }, start: scalar, last: scalar } as const;
  builder.function(name, inputs, (inputs) => {
    const { ids, start, last } = inputs as { ids: tf.Tensor; start: tf.Tensor; last: tf.Tensor };
    const attend = cachedAttention(cache, start, stride, window);
    const runtime = model.runtime({ parameters: adapterTensors(model), attend });
    const positions = tf.add(tf.range(0, stride, 1, 'int32'), start);
    const hidden = architecture.body(runtime, ids, { rows: 1, tokens: stride, positions });
    const wanted = tf.gather(hidden, tf.reshape(last, [1]) as tf.Tensor1D);
    const logits = architecture.logits!(runtime, architecture.finalNorm(runtime, wanted));
    return { logits: tf.reshape(logits, [architecture.vocabularySize]) };
  });
}

/** The prefix of every layer goes where the keys and values of the first tokens would be. */
function declarePrime(builder: ProgramBuilder, name: string, model: PeftModel, cache: LayerCache[]): void {
  builder.function(name, {}, () => {
    const parameters = adapterTensors(model);
    const start = tf.zeros([3], 'int32');
    for (const [layer, { keys, values }] of cache.entries()) {
      const prefix = model.prefix({ layer }, parameters)!;
      keys.assignSlice(start, prefix.keys);
      values.assignSlice(start, prefix.values);
    }
    return {};
  });
}
