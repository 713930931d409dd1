/**
 * Graft's side of bench/preferences: the reference pass for the first line of standard input, then one step for each, see
 * ../training/lock-step.ts. usage: graft.ts PLAN.json
 * Reads a GraftPlan.
 */
import { train } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { answerSteps, readPlan } from '../training/answer-steps.ts';
import type { GraftPlan } from './plans.ts';

const { model, ...plan } = await readPlan<GraftPlan>();
const base = await openBaseModel(model);
const records = train({ base, baseModelName: 'bench', method: 'dpo', ...plan });

async function untilRecord<Type extends 'start' | 'reference' | 'step'>(type: Type) {
  for (;;) {
    const { value, done } = await records.next();
    if (done) throw new Error(`the training ended before a record of type ${type}`);
    if (value.type === type) return value as Extract<typeof value, { type: Type }>;
  }
}

async function reference(): Promise<number> {
  for (;;) {
    const { done, of } = await untilRecord('reference');
    if (done === of) return 0;
  }
}

await untilRecord('start');
let next: () => Promise<number> = reference;
await answerSteps(async () => {
  const started = performance.now();
  const before = process.cpuUsage();
  const loss = await next();
  next = async () => (await untilRecord('step')).loss;
  const { user, system } = process.cpuUsage(before);
  return { seconds: (performance.now() - started) / 1000, cpu: (user + system) / 1e6, loss };
});
