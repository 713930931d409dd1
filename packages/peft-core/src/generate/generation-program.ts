import { type Program, ProgramBuilder, tf } from '@graft/tf-graph';
import type { PeftConfig } from '../config.ts';
import type { Architecture } from '../models/architecture.ts';
import { adapterTensors, declarePeftModel, type PeftModel } from '../peft-model.ts';
import { cachedAttention } from './cached-attention.ts';

/** How many tokens one run takes: one while decoding, more while a prompt is read. */
const STRIDES = [1, 16, 64, 256] as const;

/** A program that extends a sequence held in a key-value cache. */
export interface GenerationProgram {
  program: Program;
  model: PeftModel;
  /** Positions in the cache: prompt and answer together. */
  context: number;
  /** Tokens a run can take, ascending. */
  strides: readonly number[];
  /** Name of the function that takes `stride` tokens and sees the first `end` positions. */
  functionFor(stride: number, end: number): string;
  /** Empties the cache; once before the first run. */
  clear(): Promise<void>;
}

/**
 * Functions `extend_<stride>_<window>`: ids `(stride)` at positions start… are written to the cache, and the logits `(V)` of the
 * token at `last` come out. Tokens behind `last` are filler: what they leave in the cache is overwritten before anything sees it.
 */
export function buildGenerationProgram(
  architecture: Architecture,
  peft: PeftConfig | null,
  context: number,
): GenerationProgram {
  const builder = new ProgramBuilder();
  const model = declarePeftModel(builder, architecture, peft, 'float32');
  const { kvHeads, headSize, layers } = architecture;
  const shape = [kvHeads, context, headSize];
  const cache = Array.from({ length: layers }, (_, layer) => ({
    keys: builder.variable({ name: `cache.k.${layer}`, shape }),
    values: builder.variable({ name: `cache.v.${layer}`, shape }),
  }));
  // Attention costs as much as the window it looks at, so short sequences get a short one.
  const windows = [...new Set([256, 1024].filter((w) => w < context).concat(context))];

  for (const stride of STRIDES) {
    for (const window of windows) {
      const scalar = { shape: [], dtype: 'int32' } as const;
      builder.function(
        `extend_${stride}_${window}`,
        { ids: { shape: [stride], dtype: 'int32' }, start: scalar, last: scalar },
        (inputs) => {
          const { ids, start, last } = inputs as { ids: tf.Tensor; start: tf.Tensor; last: tf.Tensor };
          const parameters = adapterTensors(model);
          const attend = cachedAttention(cache, start, stride, window);
          const runtime = model.runtime({ parameters, attend });
          const positions = tf.add(tf.range(0, stride, 1, 'int32'), start);
          const hidden = architecture.body(runtime, ids, { rows: 1, tokens: stride, positions });
          const wanted = tf.gather(hidden, tf.reshape(last, [1]) as tf.Tensor1D);
          const normed = architecture.finalNorm(runtime, wanted);
          const logits = architecture.logits!(runtime, normed);
          return { logits: tf.reshape(logits, [architecture.vocabularySize]) };
        },
      );
    }
  }
  const program = builder.build();
  const empty = cache
    .flatMap(({ keys, values }) => [keys, values])
    .map(({ name, shape }) => [name, shape.reduce((a, b) => a * b, 1)] as const);
  return {
    program,
    model,
    clear: () => program.write(empty.map(([name, size]) => [name, new Float32Array(size)])),
    context,
    strides: STRIDES,
    functionFor: (stride, end) => `extend_${stride}_${windows.find((w) => w >= end)}`,
  };
}
