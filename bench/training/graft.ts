/**
 * Graft's side of bench/training, in a process of its own. usage: graft.ts PLAN.json
 * Reads a GraftPlan; the last line of standard output is a SideResult.
 */
import { readFile } from 'node:fs/promises';
import { train } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import type { GraftPlan, SideResult } from './sides.ts';

const plan: GraftPlan = JSON.parse(await readFile(process.argv[2] ?? '', 'utf8'));
const base = await openBaseModel(plan.model);
const seconds: number[] = [];
const losses: number[] = [];
let started = performance.now();
for await (const record of train({
  base,
  baseModelName: 'bench',
  trainingFile: plan.trainingFile,
  peft: plan.peft,
  training: plan.training,
  outputDir: plan.outputDir,
})) {
  // Measured by the caller, so that all that happens between two steps counts.
  const now = performance.now();
  if (record.type === 'step') {
    losses.push(record.loss);
    seconds.push((now - started) / 1000);
    process.stderr.write(
      `  step ${record.step}/${record.totalSteps}  loss ${record.loss.toFixed(4)}  ${seconds.at(-1)?.toFixed(2)} s\n`,
    );
  }
  started = now;
}
await base.close();
const result: SideResult = { seconds, losses, max_rss_bytes: process.resourceUsage().maxRSS * 1024 };
console.log(JSON.stringify(result));
