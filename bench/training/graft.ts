/**
 * Graft's side of bench/training: one step for each line of standard input, see lock-step.ts. usage: graft.ts PLAN.json
 * Reads a GraftPlan.
 */
import { readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { train } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import type { Ready, Step } from './lock-step.ts';
import type { GraftPlan } from './sides.ts';

const { model, trainingFile, peft, training, outputDir }: GraftPlan = JSON.parse(
  await readFile(process.argv[2] ?? '', 'utf8'),
);
const base = await openBaseModel(model);
const records = train({ base, baseModelName: 'bench', trainingFile, peft, training, outputDir });
const tell = (what: Ready | Step) => console.log(JSON.stringify(what));

async function untilRecord(type: 'start' | 'step') {
  for (;;) {
    const { value, done } = await records.next();
    if (done) throw new Error(`the training ended before a record of type ${type}`);
    if (value.type === type) return value;
  }
}

await untilRecord('start');
tell({ ready: true });
for await (const line of createInterface({ input: process.stdin })) {
  if (line !== 'go') break;
  const started = performance.now();
  const record = await untilRecord('step');
  if (record.type !== 'step') break;
  tell({
    seconds: (performance.now() - started) / 1000,
    loss: record.loss,
    resident: process.memoryUsage.rss(),
    peak: process.resourceUsage().maxRSS * 1024,
  });
}
process.exit(0);
