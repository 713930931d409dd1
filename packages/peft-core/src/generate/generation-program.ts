import { type Program, ProgramBuilder, tf, type Variable } from '@graft/tf-graph';
import type { PeftConfig } from '../config.ts';
import type { Architecture } from '../models/architecture.ts';
import { attention, cachedCausalMask } from '../nn/attention.ts';
import { adapterTensors, declarePeftModel, type PeftModel, type RuntimeOptions } from '../peft-model.ts';

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
  const cache = (name: string) =>
    Array.from({ length: layers }, (_, layer) =>
      builder.variable({ name: `${name}.${layer}`, shape: [kvHeads, context, headSize] }),
    );
  const [keys, values] = [cache('cache.k'), cache('cache.v')];
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
          const attend = cachedAttention(keys, values, start, stride, window);
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
  const empty = [...keys, ...values].map(
    ({ name, shape }) => [name, shape.reduce((a, b) => a * b, 1)] as const,
  );
  return {
    program,
    model,
    clear: () => program.write(empty.map(([name, size]) => [name, new Float32Array(size)])),
    context,
    strides: STRIDES,
    functionFor: (stride, end) => `extend_${stride}_${windows.find((w) => w >= end)}`,
  };
}

/** Attention of `stride` new tokens over the cache's first `window` positions, after writing them to it. */
function cachedAttention(
  keys: Variable[],
  values: Variable[],
  start: tf.Tensor,
  stride: number,
  window: number,
): RuntimeOptions['attend'] {
  const mask = cachedCausalMask(start, stride, window);
  const zero = tf.zeros([1], 'int32');
  const begin = tf.concat([zero, tf.reshape(start, [1]), zero], 0);
  const append = (variable: Variable, fresh: tf.Tensor) => {
    const [heads, , width] = variable.shape as [number, number, number];
    const whole = variable.assignSlice(begin, tf.reshape(fresh, [heads, stride, width]));
    return tf.reshape(tf.slice(whole, [0, 0, 0], [heads, window, width]), [1, heads, window, width]);
  };
  return ({ layer }, q, k, v) => attention(q, append(keys[layer]!, k), append(values[layer]!, v), mask);
}
