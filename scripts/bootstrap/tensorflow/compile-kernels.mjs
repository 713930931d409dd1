import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './fetch-libraries.mjs';

const wide = ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma'];

/** The instruction sets that the kernels exist for, and the compiler's words for each; the processor's own is chosen at run time. */
const sets = {
  x64: {
    baseline: [],
    avx2: ['-mavx2', '-mfma'],
    avx512: wide,
    avx512bf16: [...wide, '-mavx512bf16'],
    amxbf16: [...wide, '-mavx512bf16', '-mamx-tile', '-mamx-bf16'],
  },
  arm64: { baseline: [] },
};

/** How TensorFlow's wheels are compiled: what inlines from its headers must be the same. */
const tensorflowFlags = ['-DNDEBUG', '-D_GLIBCXX_USE_CXX11_ABI=1', '-DEIGEN_MAX_ALIGN_BYTES=64'];

/**
 * Compiles packages/tf-graph/native/kernels, and the ops that make them TensorFlow's, to `libgraft_kernels.so` beside the
 * libraries in `work`. A machine where that fails computes with stock ops: it logs why, and goes on.
 * @param {{
 *   log: (line: string) => void,
 *   compiler: string,
 *   native: string,
 *   work: string,
 * }} options native: packages/tf-graph/native
 */
export async function compileKernels({ log, compiler, native, work }) {
  const own = process.arch === 'x64' || process.arch === 'arm64' ? sets[process.arch] : null;
  if (!own || process.platform !== 'linux') {
    log(`no kernels for ${process.platform} on ${process.arch}: TensorFlow's own operations compute`);
    return;
  }
  const libraries = join(work, 'tensorflow');
  const output = join(libraries, 'libgraft_kernels.so');
  const common = ['-std=c++17', '-fPIC', '-fvisibility=hidden', '-w'];
  const objects = [...Object.keys(own), 'ops'].map((name) => join(work, `kernels-${name}.o`));
  try {
    // What takes longest first, and two at a time.
    const include = `-I${join(libraries, 'include')}`;
    const ops = ['-O2', ...tensorflowFlags, include, '-c', join(native, 'kernel-ops/kernel-ops.cc')];
    const source = join(native, 'kernels/instruction-set.cc');
    await Promise.all([
      run(compiler, [...common, ...ops, '-o', join(work, 'kernels-ops.o')], 'compiling the kernels’ ops'),
      (async () => {
        for (const [name, flags] of Object.entries(own)) {
          const args = [...common, '-O3', ...flags, `-DGRAFT_SET=${name}`, '-c', source];
          await run(compiler, [...args, '-o', join(work, `kernels-${name}.o`)], `compiling kernels: ${name}`);
        }
      })(),
    ]);
    const framework = ['-L', libraries, '-l:libtensorflow_framework.so.2', '-Wl,-rpath,$ORIGIN'];
    await run(compiler, ['-shared', ...objects, ...framework, '-o', output], 'linking the kernels');
  } catch (error) {
    await rm(output, { force: true });
    log(`the kernels did not compile, so TensorFlow's own operations compute, slower: ${message(error)}`);
  } finally {
    for (const object of objects) await rm(object, { force: true });
  }
}

/** @param {unknown} error */
const message = (error) => (error instanceof Error ? error.message : String(error));
