import type { Program, ProgramFunction, TypedArray } from '@graft/tf-graph';

/**
 * Runs a function once on zeros, of `length` where a size varies, so that its graph is optimized, which takes memory, while there is
 * little else; what it computes is of no use, nor what it leaves in the variables that it assigns.
 */
export function warmUp(program: Program, fn: ProgramFunction, length: number): void {
  const zeros = Object.entries(fn.inputs).flatMap(([name, input]): [string, TypedArray][] => {
    if (!input) return [];
    const sizes = input.varies ? [length, ...input.shape.slice(1)] : input.shape;
    const count = sizes.reduce((product, size) => product * size, 1);
    return [[name, input.dtype === 'float32' ? new Float32Array(count) : new Int32Array(count)]];
  });
  program.run(fn, Object.fromEntries(zeros));
}
