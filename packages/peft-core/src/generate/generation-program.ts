import { type Program, ProgramBuilder, tf } from '@graft/tf-graph';
import type { PeftConfig } from '../config/index.ts';
import type { Architecture } from '../models/architecture.ts';
import { packedAttention } from '../peft-model/packed-attention.ts';
import { adapterTensors, attachAdapter, type PeftModel } from '../peft-model/peft-model.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { declareWeights } from '../weights/stored-weights.ts';
import { cachedAttention, type LayerCache } from './cached-attention.ts';

/** How many tokens one run takes: one while decoding, more while a prompt is read. */
export const STRIDES = [1, 16, 64, 256] as const;

/** A base model and the key-value cache of one sequence. Adapters are attached while it stays loaded, and share both. */
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
  /** Encoder-decoders only, before each sequence: runs the encoder on `ids`, at most the context. The decoder reads its states. */
  encode(ids: readonly number[]): void;
  /** Sets the adapter's values. */
  write(values: Float32Array): Promise<void>;
  /** Writes the adapter's prefix into the first positions of the cache: after new values, and after another model's turn. */
  prime(): void;
  /**
   * Takes `ids`, at most the largest stride, at positions start… into the cache and gives the logits `(V)` after the last one.
   * The stride's other tokens are padding: what they leave in the cache is overwritten before it is read.
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
  const memory = architecture.encoder ? declareMemory(builder, layers, [context, kvHeads * headSize]) : null;
  const program = builder.build();
  const empty = [...cache, ...(memory ?? [])]
    .flatMap(({ keys, values }) => [keys, values])
    .map(({ name, shape }) => [name, elementCount(shape)] as const);
  let attached = 0;
  return {
    program,
    context,
    clear: () => program.write(empty.map(([name, size]) => [name, new Float32Array(size)])),
    attach(peft) {
      const name = `adapter.${attached++}`;
      const model = attachAdapter(builder, architecture, weights, peft, { form: 'folded', name });
      builder.extend(program);
      return answeringModel(name, model, { builder, program, cache, memory, context });
    },
  };
}

function answeringModel(
  name: string,
  model: PeftModel,
  shared: {
    builder: ProgramBuilder;
    program: Program;
    cache: LayerCache[];
    memory: LayerCache[] | null;
    context: number;
  },
): AnsweringModel {
  const { builder, program, cache, memory, context } = shared;
  // Attention costs as much as the window it looks at, so short sequences get a short one.
  const windows = [...new Set([256, 1024].filter((w) => w < context).concat(context))];
  const windowFor = (positions: number) => windows.find((w) => w >= positions)!;
  const encodeOn = builder.onDemand(program, (tokens) =>
    declareEncode(builder, `${name}/encode_${tokens}`, model, memory!, tokens),
  );
  const primeFor = builder.onDemand(program, () => declarePrime(builder, `${name}/prime`, model, cache));
  const extendOn = builder.onDemand(program, (stride: number, window: number, inputTokens: number) => {
    const shape = { stride, window, inputTokens };
    return declareExtend(
      builder,
      `${name}/extend_${Object.values(shape).join('_')}`,
      model,
      cache,
      memory,
      shape,
    );
  });
  let input = { length: 0, tokens: 0 };
  return {
    model,
    async write(values) {
      if (model.adapter) await program.write([[model.adapter.name, values]]);
    },
    encode(ids) {
      const tokens = windowFor(ids.length);
      const padded = new Int32Array(tokens);
      padded.set(ids);
      const segments = new Int32Array(tokens).fill(1, 0, ids.length);
      program.run(encodeOn(tokens), { ids: padded, segments });
      input = { length: ids.length, tokens };
    },
    prime() {
      if (model.attachment?.prefix) program.run(primeFor(), {});
    },
    extend(stride, ids, start) {
      const padded = new Int32Array(stride);
      padded.set(ids);
      const { logits } = program.run(extendOn(stride, windowFor(start + stride), input.tokens), {
        ids: padded,
        start: Int32Array.of(start),
        last: Int32Array.of(ids.length - 1),
        input: memory ? Int32Array.of(input.length) : undefined,
      });
      return logits.data as Float32Array;
    },
  };
}

/** What the decoder's layers make of an encoder's states, `(context, heads · D)` each. */
function declareMemory(builder: ProgramBuilder, layers: number, shape: number[]): LayerCache[] {
  return Array.from({ length: layers }, (_, layer) => ({
    keys: builder.variable({ name: `memory.k.${layer}`, shape }),
    values: builder.variable({ name: `memory.v.${layer}`, shape }),
  }));
}

/** The encoder on `tokens` positions, the last of which may be padding; its states go to the memory. */
function declareEncode(
  builder: ProgramBuilder,
  name: string,
  model: PeftModel,
  memory: LayerCache[],
  tokens: number,
) {
  const { architecture } = model;
  const perToken = { shape: [tokens], dtype: 'int32' } as const;
  return builder.function(name, { ids: perToken, segments: perToken }, ({ ids, segments }) => {
    const grid = { rows: 1, tokens, segments, positions: tf.range(0, tokens, 1, 'int32') };
    const attend = packedAttention(architecture, grid, { encoder: grid });
    const runtime = model.runtime({ parameters: adapterTensors(model), attend });
    const encoder = architecture.encoder!;
    const states = encoder.encode(runtime, ids, grid);
    const begin = tf.zeros([2], 'int32');
    for (const [layer, variables] of memory.entries()) {
      const { k, v } = encoder.keysAndValues(runtime, layer, states);
      variables.keys.assignSlice(begin, k);
      variables.values.assignSlice(begin, v);
    }
    return {};
  });
}

/** `stride` new tokens over the first `window` positions of the cache, and the first `inputTokens` of the memory. */
function declareExtend(
  builder: ProgramBuilder,
  name: string,
  model: PeftModel,
  cache: LayerCache[],
  memory: LayerCache[] | null,
  { stride, window, inputTokens }: { stride: number; window: number; inputTokens: number },
) {
  const { architecture } = model;
  const scalar = { shape: [], dtype: 'int32' } as const;
  const ids = { shape: [stride], dtype: 'int32' } as const;
  const inputs = { ids, start: scalar, last: scalar, input: memory ? scalar : undefined };
  return builder.function(name, inputs, ({ ids, start, last, input: length }) => {
    const read = length ? { length, tokens: inputTokens } : null;
    const attend = cachedAttention(cache, start, stride, window, read);
    const runtime = model.runtime({ parameters: adapterTensors(model), attend });
    const grid = {
      ...{ rows: 1, tokens: stride, cached: window },
      positions: tf.add(tf.range(0, stride, 1, 'int32'), start),
    };
    const part = (variable: LayerCache['keys']) =>
      tf.slice(variable.read(), [0, 0], [inputTokens, variable.shape[1]!]);
    const kept = memory && {
      keysAndValues: (layer: number) => ({ k: part(memory[layer]!.keys), v: part(memory[layer]!.values) }),
    };
    const hidden = architecture.body(runtime, ids, grid, kept ?? undefined);
    const wanted = tf.gather(hidden, tf.reshape(last, [1]));
    const logits = architecture.logits!(runtime, architecture.finalNorm(runtime, wanted));
    return { logits: tf.reshape(logits, [architecture.vocabularySize]) };
  });
}

/** The prefix of every layer goes where the keys and values of the first tokens would be. */
function declarePrime(builder: ProgramBuilder, name: string, model: PeftModel, cache: LayerCache[]) {
  return builder.function(name, {}, () => {
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
