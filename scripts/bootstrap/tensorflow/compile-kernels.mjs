import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './fetch-libraries.mjs';

const wide = ['-mavx512f', '-mavx512bw', '-mavx512dq', '-mavx512vl', '-mfma'];
const vnni = [...wide, '-mavx512vnni'];

/** The instruction sets that the kernels exist for, and the compiler's words for each; the processor's own is chosen at run time. */
const sets = {
  x64: {
    baseline: [],
    avx2: ['-mavx2', '-mfma'],
    avx512: wide,
    avx512vnni: vnni,
    avx512bf16: [...vnni, '-mavx512bf16'],
    amxbf16: [...vnni, '-mavx512bf16', '-mamx-tile', '-mamx-bf16', '-mamx-int8'],
  },
  arm64: { baseline: [] },
};

/** How TensorFlow's wheels are compiled: what inlines from its headers must be the same. */
const tensorflowFlags = ['-DNDEBUG', '-D_GLIBCXX_USE_CXX11_ABI=1', '-DEIGEN_MAX_ALIGN_BYTES=64'];

/**
 * Compiles the kernels of each instruction set, and what chooses among them, to object files in `work`. A set that the compiler does not
 * know, because it is older than the instructions, is left out; `baseline` must compile.
 * @param {{
 *   log: (line: string) => void,
 *   compiler: string,
 *   native: string,
 *   work: string,
 *   optimize?: string,
 * }} options native: packages/tf-graph/native
 * @returns {Promise<string[]>} the object files
 */
export async function compileSets({ log, compiler, native, work, optimize = '-O3' }) {
  const own = setsHere() ?? { baseline: [] };
  const objects = [join(work, 'kernels-sets.o')];
  const chooser = join(native, 'kernels/kernel-sets.cc');
  await run(compiler, [...common, '-O2', '-c', chooser, '-o', objects[0]], 'compiling the choice of kernels');
  const source = join(native, 'kernels/instruction-set.cc');
  for (const [name, flags] of Object.entries(own)) {
    const object = join(work, `kernels-${name}.o`);
    const args = [...common, optimize, ...flags, `-DGRAFT_SET=${name}`, '-c', source, '-o', object];
    try {
      await run(compiler, args, `compiling kernels: ${name}`);
      objects.push(object);
    } catch (error) {
      if (name === 'baseline') throw error;
      log(`this compiler does not know ${name}: kernels for it are left out (${message(error)})`);
    }
  }
  return objects;
}

/**
 * Compiles packages/tf-graph/native/kernels, and the ops that make them TensorFlow's, to `libgraft_kernels.so` beside the
 * libraries in `work`. A machine where that fails computes with stock ops, and the log says why.
 * @param {{
 *   log: (line: string) => void,
 *   compiler: string,
 *   native: string,
 *   work: string,
 * }} options native: packages/tf-graph/native
 */
export async function compileKernels({ log, compiler, native, work }) {
  if (!setsHere() || process.platform !== 'linux') {
    log(`no kernels for ${process.platform} on ${process.arch}: TensorFlow's own operations compute`);
    return;
  }
  const libraries = join(work, 'tensorflow');
  const output = join(libraries, 'libgraft_kernels.so');
  const ops = join(work, 'kernels-ops.o');
  try {
    // The slowest first, and two at a time.
    const include = `-I${join(libraries, 'include')}`;
    const source = join(native, 'kernel-ops/kernel-ops.cc');
    const [sets] = await Promise.all([
      compileSets({ log, compiler, native, work }),
      run(
        compiler,
        [...common, '-O2', ...tensorflowFlags, include, '-c', source, '-o', ops],
        'compiling the kernels’ ops',
      ),
    ]);
    const framework = ['-L', libraries, '-l:libtensorflow_framework.so.2', '-Wl,-rpath,$ORIGIN'];
    await run(compiler, ['-shared', ...sets, ops, ...framework, '-o', output], 'linking the kernels');
  } catch (error) {
    await rm(output, { force: true });
    log(`the kernels did not compile, so TensorFlow's own operations compute, slower: ${message(error)}`);
  } finally {
    for (const name of ['ops', 'sets', ...Object.keys(setsHere() ?? {})])
      await rm(join(work, `kernels-${name}.o`), { force: true });
  }
}

const common = ['-std=c++17', '-fPIC', '-fvisibility=hidden', '-w'];

const setsHere = () => (process.arch === 'x64' || process.arch === 'arm64' ? sets[process.arch] : null);

/** @param {unknown} error */
const message = (error) => (error instanceof Error ? error.message : String(error));
