/** One training, measured, in a separate process. Its plan is a Plan, its result a Measured. */
import { measureSpeed, type TrainOptions, train } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { answer, readPlan } from '../../scripts/measuring/processes.ts';

export interface Plan extends Pick<TrainOptions, 'trainingFile' | 'peft' | 'training' | 'outputDir'> {
  model: string;
  precision: 'fp32' | 'bf16';
}

export interface Measured {
  trainableParameters: number;
  peakBytes: number;
  tokens: number;
  /** Duration of the whole training, the measurements of speed left out. */
  seconds: number;
  stepSeconds: number[];
  /** Floating-point operations per second of matrix products, measured before, between and after the steps: the machine's speed changes. */
  flops: number[];
}

const plan = await readPlan<Plan>();
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
answer(measured);
