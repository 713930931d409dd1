// A process that answers a plan of questions with llama.cpp: it reads {addon, model, prompts, tokens, alone, rows, threads} as JSON from
// stdin, and writes {oneByOne, together}, each {tokens, seconds}, as JSON to stdout. A separate process, because a fault of the addon
// ends its process.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

/** @type {{ addon: string, model: string, prompts: string[], tokens: number, alone: number, rows: number, threads: number }} */
const plan = JSON.parse(readFileSync(0, 'utf8'));
const addon = createRequire(import.meta.url)(plan.addon);
addon.setLoggerLogLevel(0);
addon.loadBackends();
if (addon.getGpuType() == null) addon.loadBackends(dirname(plan.addon));
await addon.init();
const model = new addon.AddonModel(plan.model, { gpuLayers: 0, useMmap: true });
if (!(await model.init())) throw new Error('llama.cpp cannot open the model');
const prompts = plan.prompts.map((prompt) => [...model.tokenize(prompt, false)]);
const longest = Math.max(...prompts.map(({ length }) => length)) + plan.tokens;

/** Answers to all `questions`, `rows` of them at a time; a finished one is followed by the next. */
async function measure(questions, rows) {
  const contextSize = Math.ceil(((longest + 8) * rows) / 256) * 256;
  const context = new addon.AddonContext(model, {
    contextSize,
    batchSize: contextSize,
    sequences: rows,
    flashAttention: true,
    threads: plan.threads,
  });
  if (!(await context.init())) throw new Error('llama.cpp cannot create a context');
  const greedy = new addon.AddonSampler(model);
  greedy.applyConfig({ temperature: 0 });
  const began = performance.now();
  const waiting = [...questions];
  const active = new Map();
  let answered = 0;
  for (;;) {
    for (let row = 0; row < rows && waiting.length > 0; row++)
      if (!active.has(row)) active.set(row, { next: waiting.shift(), start: 0, written: 0 });
    if (active.size === 0) break;
    context.initBatch([...active.values()].reduce((sum, { next }) => sum + next.length, 0));
    const places = [...active].map(([row, { next, start }]) =>
      context.addToBatch(row, start, Uint32Array.from(next), Uint32Array.of(next.length - 1)),
    );
    await context.decodeBatch();
    for (const [i, [row, own]] of [...active].entries()) {
      const token = await context.sampleToken(places[i][0], greedy);
      own.start += own.next.length;
      own.next = [token];
      own.written++;
      answered++;
      if (own.written < plan.tokens && !model.isEogToken(token)) continue;
      context.disposeSequence(row);
      active.delete(row);
    }
  }
  const seconds = (performance.now() - began) / 1000;
  await context.dispose();
  return { tokens: answered, seconds };
}

await measure(prompts.slice(0, 1), 1);
const oneByOne = await measure(prompts.slice(0, plan.alone), 1);
const together = await measure(prompts, plan.rows);
process.stdout.write(JSON.stringify({ oneByOne, together }), () => process.exit(0));
