import { Worker } from 'node:worker_threads';

/**
 * Where processors are short, the event loop, on which every team's answers wait, comes before what one team's file or options
 * cost. On Linux a priority is a thread's own; elsewhere it would be the whole process's.
 */
const yieldFirst = process.platform === 'linux' ? `require('node:os').setPriority(5);` : '';

/**
 * Without keys, peppers and database URLs, since it reads users' data. On Node 20 it must install the loader itself. `yields`: false for
 * one that requests wait for.
 */
export function startThread(module: URL, heapMb: number, { yields = true } = {}): Worker {
  const first = yields ? yieldFirst : '';
  const options = { eval: true, env: {}, resourceLimits: { maxOldGenerationSizeMb: heapMb } };
  const entry = `import(${JSON.stringify(module.href)})`;
  if (!module.pathname.endsWith('.ts')) return new Worker(`${first}${entry}`, options);
  const loader = JSON.stringify(import.meta.resolve('tsx/esm/api'));
  const load = `import(${loader}).then(({ register }) => { register(); return ${entry}; })`;
  return new Worker(`${first}${load}`, options);
}
