/**
 * A side of bench/families: a training step for each line of standard input, see ../training/lock-step.ts. usage: one-model.ts PLAN.json
 */
import { train } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { answerSteps, readPlan } from '../training/answer-steps.ts';
import type { Plan } from './main.ts';

const { model, ...plan } = await readPlan<Plan>();
const base = await openBaseModel(model);
const records = train({ base, baseModelName: 'bench', ...plan });

async function untilStep(): Promise<number> {
  for (;;) {
    const { value, done } = await records.next();
    if (done) throw new Error('the training ended before a step');
    if (value.type === 'step') return value.loss;
  }
}

await answerSteps(async () => {
  const started = performance.now();
  const before = process.cpuUsage();
  const loss = await untilStep();
  const { user, system } = process.cpuUsage(before);
  return { seconds: (performance.now() - started) / 1000, cpu: (user + system) / 1e6, loss };
});
