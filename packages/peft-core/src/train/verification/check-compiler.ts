import { kernelSets, ProgramBuilder, tf } from '@graft/tf-graph';

const size = 24;
const spec = { shape: [size, size], dtype: 'float32' } as const;
const values = Float32Array.from({ length: size * size }, (_, i) => Math.sin(i));

/** Computes products, exponentials and sums over rows: operations for which XLA needs its GPU libraries. */
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

/** Throws TensorFlow's error if XLA cannot compile, or an Error if the compiled code computes different numbers. */
export function checkCompiler(): void {
  const [compiled, plain] = [computed(true), computed(false)];
  const off = Math.max(...plain.map((value, i) => Math.abs(compiled[i]! - value)));
  if (!(off < 1e-4)) throw new Error(`what XLA has compiled computes other numbers, by ${off}`);
}

/** The kernel sets that this process can compute with, best first. `onFault` receives the error if XLA is available but does not work. */
export function checkedKernelSets(onFault: (fault: Error) => void): readonly string[] {
  const sets = kernelSets();
  if (!sets.includes('xla')) return sets;
  try {
    checkCompiler();
    return sets;
  } catch (error) {
    onFault(error as Error);
    return sets.filter((set) => set !== 'xla');
  }
}
