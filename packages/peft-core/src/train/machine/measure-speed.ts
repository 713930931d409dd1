import { ProgramBuilder, tf, usesGraftKernels } from '@graft/tf-graph';
import { type MatmulPrecision, withComputation } from '../../nn/computation.ts';
import { matmul } from '../../nn/matmul.ts';

// Sizes of a small model's step: they give the speed that jobs reach, and cost the trainer at most 20 MB.
const smallModels = { tokens: 512, hidden: 576, wide: 1536 };
// A CPU takes tens of milliseconds for a pair. A GPU takes less for it than to start a run, so its runs have more pairs.
const minMilliseconds = 5;
const maxPairs = 512;
// The measurement is part of a proof that callers wait for, so it ends after this time plus one run.
const limitMilliseconds = 150;

/**
 * Measures the speed of matrix products in this process in floating-point operations per second (a multiplication and an addition are
 * two). As in training, weights are variables in their storage type, and activations between the products are float32. Returns the
 * speed of the fastest run within about 0.2 s, because other load on the machine can only slow a run down. Blocks the thread.
 * @param shape of `(tokens, hidden) × (hidden, wide)` and back
 */
export async function measureSpeed(
  precision: MatmulPrecision,
  { tokens, hidden, wide } = smallModels,
): Promise<number> {
  const flopsOfPair = 2 * (2 * tokens * hidden * wide);
  const until = performance.now() + limitMilliseconds;
  const builder = new ProgramBuilder();
  const dtype = precision === 'bf16' ? 'bfloat16' : 'float32';
  const input = builder.variable({ name: 'input', shape: [tokens, hidden] });
  const up = builder.variable({ name: 'up', shape: [hidden, wide], dtype });
  const down = builder.variable({ name: 'down', shape: [wide, hidden], dtype });
  const implementation = usesGraftKernels() ? 'kernels' : 'stock';
  const program = builder.build();
  const productsOf = builder.onDemand(program, (pairs: number) =>
    builder.function(`${pairs} pairs`, {}, () => {
      let x = input.read();
      for (let i = 0; i < pairs; i++)
        x = withComputation({ precision, implementation }, () =>
          matmul(matmul(x, up.read({ stored: true })), down.read({ stored: true })),
        );
      // Returns one number: copying the whole product out must not count.
      return { corner: tf.slice(x, [0, 0], [1, 1]) };
    }),
  );
  const milliseconds = (pairs: number): number => {
    const began = performance.now();
    program.run(productsOf(pairs), {});
    return performance.now() - began;
  };
  try {
    // The duration of a product does not depend on its values.
    const zeros = dtype === 'bfloat16' ? Uint16Array : Float32Array;
    await program.write([
      ['input', new Float32Array(tokens * hidden)],
      ['up', new zeros(hidden * wide)],
      ['down', new zeros(wide * hidden)],
    ]);
    let pairs = 1;
    // The first run of a function prepares its kernels.
    milliseconds(pairs);
    let least = milliseconds(pairs);
    while (least < minMilliseconds && pairs < maxPairs) {
      pairs *= 8;
      milliseconds(pairs);
      least = milliseconds(pairs);
    }
    while (performance.now() < until) least = Math.min(least, milliseconds(pairs));
    return (pairs * flopsOfPair) / (least / 1000);
  } finally {
    program.close();
  }
}
