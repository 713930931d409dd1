/**
 * One training, measured, in a separate process. usage: graft.ts PLAN.json
 * The last line of standard output is a Measured.
 */
import { readFile } from 'node:fs/promises';
import { measureSpeed, train } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import type { Measured, Plan } from './plan.ts';

const plan: Plan = JSON.parse(await readFile(process.argv[2] ?? '', 'utf8'));
const measured: Measured = {
  trainableParameters: 0,
  peakBytes: 0,
  tokens: 0,
  seconds: 0,
  stepSeconds: [],
  flops: [],
};
const lookAtSpeed = async () => {
  measured.flops.push(await measureSpeed(plan.precision));
};

await lookAtSpeed();
let began = performance.now();
const base = await openBaseModel(plan.model);
for await (const record of train({ ...plan, base, baseModelName: 'measured' })) {
  const seconds = (performance.now() - began) / 1000;
  measured.seconds += seconds;
  if (record.type === 'start') measured.trainableParameters = record.trainableParameters;
  if (record.type === 'step') {
    measured.stepSeconds.push(seconds);
    measured.tokens = record.tokens;
    if (record.step % 2 === 0) await lookAtSpeed();
  }
  if (record.type === 'done') measured.peakBytes = record.peakMemoryBytes;
  began = performance.now();
}
await base.close();
console.log(JSON.stringify(measured));
