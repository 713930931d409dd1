import { readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { openBaseModel } from '/work/trees/answers/packages/peft-core/src/files.ts';
import { writeTinyModel } from '/work/trees/answers/packages/peft-core/src/testing/tiny-model.ts';
import { Generator } from '/work/trees/answers/packages/peft-core/src/generate/generator.ts';
const folder = '/tmp/answers-bench-model';
await writeTinyModel(folder, { max_position_embeddings: 4096, vocab_size: 49152, num_hidden_layers: 2 });
const file = path.join(folder, 'tokenizer.json');
const t = JSON.parse(await readFile(file, 'utf8'));
let seed = 1; const rnd = (n: number) => (seed = (seed * 1103515245 + 12345) % 2147483648) % n;
const letters = 'abcdefghijklmnopqrstuvwxyz';
const seen = new Set(Object.keys(t.model.vocab));
for (let id = 260; id < 49152; ) { let w = rnd(2) ? 'Ġ' : ''; const l = 2 + rnd(7); for (let i = 0; i < l; i++) w += letters[rnd(26)]; if (rnd(40) === 0) w += '"'; if (seen.has(w)) continue; seen.add(w); t.model.vocab[w] = id++; }
await writeFile(file, JSON.stringify(t));
const base = await openBaseModel(folder, { digestCache: folder });
const g = await Generator.open({ base, context: 1024, rows: 16 });
const schema = { type: 'object', properties: { title: { type: 'string' }, tags: { type: 'array', items: { type: 'string' } }, n: { type: 'integer' } }, required: ['title', 'tags', 'n'], additionalProperties: false };
async function one(constrained: boolean, seed: number) {
  const start = performance.now(); let n = 0; let first = 0;
  for await (const p of g.generate({ messages: [{ role: 'user', content: 'Hello' }], max_tokens: 40, temperature: 1, seed, logit_bias: { 257: -100 }, ...(constrained ? { response_format: { type: 'json_schema', schema } } : {}) })) { if (n++ === 0) first = performance.now(); }
  return { constrained, n, perToken: (performance.now() - first) / Math.max(1, n - 1), first: first - start };
}
const mean = (xs: number[]) => (xs.reduce((a, b) => a + b, 0) / xs.length).toFixed(1);
await one(false, 0); const c0 = performance.now(); await one(true, 0); console.log('first constrained answer', (performance.now() - c0).toFixed(0), 'ms');
for (let round = 0; round < 2; round++) {
  for (const mix of [0, 4]) {
    const all = await Promise.all(Array.from({ length: 8 }, (_, i) => one(i < mix, i + round * 10)));
    const of = (c: boolean) => all.filter((a) => a.constrained === c);
    console.log(`8 answers, ${mix} with schema: plain ${mean(of(false).map((a) => a.perToken))} ms/token`, mix ? `with ${mean(of(true).map((a) => a.perToken))} ms/token, tokens ${mean(of(true).map((a) => a.n))}` : '');
  }
}
await g.close(); await base.close();
