// A process that runs a GGUF file with llama.cpp: it reads one job as JSON from stdin and writes the answer as JSON to stdout. A process of
// its own, because a fault of the addon ends its process.
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';

/**
 * @type {{ addon: string, model: string, adapter?: string, scale?: number, texts?: string[], forward?: number[][], output?: string,
 *   greedy?: { prompt: number[], tokens: number }[] }}
 */
const job = JSON.parse(readFileSync(0, 'utf8'));
const llama = createRequire(import.meta.url)(job.addon);
/** @type {string[]} */
const log = [];
llama.setLogger((level, message) => level <= 3 && log.push(message.trim()));
llama.setLoggerLogLevel(3);
llama.loadBackends();
if (llama.getGpuType() == null) llama.loadBackends(dirname(job.addon));
await llama.init();

const F32 = 0;
try {
  const model = new llama.AddonModel(job.model, { gpuLayers: 0, useMmap: true });
  if (!(await model.init())) throw new Error('llama.cpp cannot open the model');
  const adapters = [];
  if (job.adapter) {
    const adapter = new llama.AddonModelLora(model, job.adapter);
    await model.loadLora(adapter);
    adapters.push(adapter);
  }
  const longest = Math.max(
    64,
    ...(job.forward ?? []).map(({ length }) => length),
    ...(job.greedy ?? []).map(({ prompt, tokens }) => prompt.length + tokens),
  );
  const contextSize = Math.ceil((longest + 8) / 32) * 32;
  const context = new llama.AddonContext(model, {
    contextSize,
    batchSize: contextSize,
    sequences: 1,
    flashAttention: false,
    // Threads that wait for one another waste a machine that does other work, too.
    threads: 1,
    kvCacheKeyType: F32,
    kvCacheValueType: F32,
    swaFullCache: true,
  });
  if (!(await context.init())) throw new Error('llama.cpp cannot create a context');
  if (adapters.length > 0)
    context.setLoras(
      adapters,
      adapters.map(() => job.scale ?? 1),
    );
  // The whole distribution, unchanged.
  const whole = new llama.AddonSampler(model);
  whole.applyConfig({ temperature: 1, topK: 0, topP: 1, minP: 0, seed: 1 });
  const best = new llama.AddonSampler(model);
  best.applyConfig({ temperature: 0 });

  /** Runs `tokens` after the first `start` positions; the places of the logits of the last `count`. */
  const run = async (tokens, start, count) => {
    context.initBatch(tokens.length);
    const wanted = Uint32Array.from({ length: count }, (_, i) => tokens.length - count + i);
    const places = context.addToBatch(0, start, Uint32Array.from(tokens), wanted);
    await context.decodeBatch();
    return places;
  };
  const forget = () => context.disposeSequence(0);

  const texts = (job.texts ?? []).map((text) => [...model.tokenize(text, true)]);
  /** Log-probabilities of all tokens after each position. */
  const scored = [];
  for (const tokens of job.forward ?? []) {
    for (const place of await run(tokens, 0, tokens.length)) {
      const [, pairs] = await context.sampleToken(place, whole, true);
      const values = new Float32Array(pairs.length / 2);
      for (let i = 0; i < pairs.length; i += 2) values[pairs[i]] = Math.log(pairs[i + 1]);
      scored.push(values);
    }
    forget();
  }
  if (job.output) writeFileSync(job.output, Buffer.concat(scored.map(({ buffer }) => Buffer.from(buffer))));
  const answers = [];
  for (const { prompt, tokens } of job.greedy ?? []) {
    const answer = [];
    let next = prompt;
    let start = 0;
    while (answer.length < tokens) {
      const [place] = await run(next, start, 1);
      const token = await context.sampleToken(place, best);
      if (model.isEogToken(token)) break;
      answer.push(token);
      start += next.length;
      next = [token];
    }
    answers.push(answer);
    forget();
  }
  const answer = {
    texts,
    answers,
    vocabulary: scored[0]?.length ?? 0,
    bos: model.tokenBos(),
    eos: model.tokenEos(),
    addsBos: model.shouldPrependBosToken(),
    description: model.getModelDescription(),
    log,
  };
  process.stdout.write(JSON.stringify(answer), () => process.exit(0));
} catch (error) {
  process.stdout.write(JSON.stringify({ error: String(error?.message ?? error), log }), () =>
    process.exit(0),
  );
}
