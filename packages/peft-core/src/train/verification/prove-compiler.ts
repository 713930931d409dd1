import { kernelSets, ProgramBuilder, tf } from '@graft/tf-graph';

const size = 24;
const spec = { shape: [size, size], dtype: 'float32' } as const;
const values = Float32Array.from({ length: size * size }, (_, i) => Math.sin(i));

/** A product, exponentials, sums over rows, and back: what XLA needs its libraries of a card for. */
function computed(compiled: boolean): Float32Array {
  const builder = new ProgramBuilder();
  const fn = builder.function('softened', { x: spec }, ({ x }) => ({
    y: tf.matMul(tf.softmax(tf.matMul(x, x), -1), x),
  }));
  const program = builder.build({ compiled });
  try {
    return program.run(fn, { x: values }).y.data as Float32Array;
  } finally {
    program.close();
  }
}

/** Throws what TensorFlow throws where XLA compiles nothing, or an Error where it computes something else. */
export function proveCompiler(): void {
  const [compiled, plain] = [computed(true), computed(false)];
  const off = Math.max(...plain.map((value, i) => Math.abs(compiled[i]! - value)));
  if (!(off < 1e-4)) throw new Error(`what XLA has compiled computes other numbers, by ${off}`);
}

/** The sets of kernels that this process can compute with, best first. `onFault`: why XLA is none of them where it could be. */
export function provenKernelSets(onFault: (fault: Error) => void): readonly string[] {
  const sets = kernelSets();
  if (!sets.includes('xla')) return sets;
  try {
    proveCompiler();
    return sets;
  } catch (error) {
    onFault(error as Error);
    return sets.filter((set) => set !== 'xla');
  }
}
