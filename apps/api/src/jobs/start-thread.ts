import { Worker, type WorkerOptions } from 'node:worker_threads';

/**
 * A thread that runs a TypeScript module. On Node 20 the loader that `node --import tsx` installs does not reach
 * threads, so the thread installs it itself.
 */
export function startThread(module: URL, options: WorkerOptions): Worker {
  const entry = `import(${JSON.stringify(module.href)})`;
  if (!module.pathname.endsWith('.ts')) return new Worker(entry, { ...options, eval: true });
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  return new Worker(`import(${loader}).then(({ register }) => { register(); return ${entry}; })`, {
    ...options,
    eval: true,
  });
}
