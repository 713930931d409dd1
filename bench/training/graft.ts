/**
 * Graft's side of bench/training: one step for each line of standard input, see lock-step.ts. usage: graft.ts PLAN.json
 * Reads a GraftPlan.
 */
import { train } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { answerSteps, readPlan } from './answer-steps.ts';
import type { GraftPlan } from './sides.ts';

const { model, ...plan } = await readPlan<GraftPlan>();
const base = await openBaseModel(model);
const records = train({ base, baseModelName: 'bench', ...plan });

async function untilRecord<Type extends 'start' | 'step'>(type: Type) {
  for (;;) {
    const { value, done } = await records.next();
    if (done) throw new Error(`the training ended before a record of type ${type}`);
    if (value.type === type) return value as Extract<typeof value, { type: Type }>;
  }
}

await untilRecord('start');
await answerSteps(async () => {
  const started = performance.now();
  const { loss } = await untilRecord('step');
  return { seconds: (performance.now() - started) / 1000, loss };
});
