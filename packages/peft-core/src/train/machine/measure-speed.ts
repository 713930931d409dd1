import { ProgramBuilder, tf } from '@graft/tf-graph';
import { type MatmulPrecision, withComputation } from '../../nn/computation.ts';
import { matmul } from '../../nn/matmul.ts';
import { implementationHere } from './implementation.ts';

// Of a small model's step: what is measured is what jobs get, and the trainer holds no more than 20 MB for it.
const smallModels = { tokens: 512, hidden: 576, wide: 1536 };
// A processor takes tens of milliseconds for a pair. A GPU takes less than a run does to start, so its run has more of them.
const leastMilliseconds = 5;
const mostPairs = 512;
// Whoever waits for the proof that this is part of waits no longer than that, and a run.
const limitMilliseconds = 150;

/**
 * Floating-point operations in a second (a multiplication and an addition are two) of matrix products in this process. As in
 * training, weights are variables in their storage, and what is between the products is float32. It is the fastest of the runs
 * within about 0.2 s: what else the machine does just then can only make one slower. Blocks the thread.
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
  const program = builder.build();
  const productsOf = builder.onDemand(program, (pairs: number) =>
    builder.function(`${pairs} pairs`, {}, () => {
      let x = input.read();
      for (let i = 0; i < pairs; i++)
        x = withComputation({ precision, implementation: implementationHere() }, () =>
          matmul(matmul(x, up.read({ stored: true })), down.read({ stored: true })),
        );
      // One number: copying the whole product out is no part of it.
      return { corner: tf.slice(x, [0, 0], [1, 1]) };
    }),
  );
  const milliseconds = (pairs: number): number => {
    const began = performance.now();
    program.run(productsOf(pairs), {});
    return performance.now() - began;
  };
  try {
    // How long a product takes does not depend on its numbers.
    const zeros = dtype === 'bfloat16' ? Uint16Array : Float32Array;
    await program.write([
      ['input', new Float32Array(tokens * hidden)],
      ['up', new zeros(hidden * wide)],
      ['down', new zeros(wide * hidden)],
    ]);
    let pairs = 1;
    // The first run of a function makes its kernels ready.
    milliseconds(pairs);
    let least = milliseconds(pairs);
    while (least < leastMilliseconds && pairs < mostPairs) {
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
