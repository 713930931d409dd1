/** Graft's side of a lock-step run, by a GraftPlan: a reference pass where the training has one that counts, then its steps. */
import { train } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { answerSteps, readPlan } from '../../scripts/measuring/processes.ts';
import type { GraftPlan } from './sides.ts';

const { model, hasReference, ...plan } = await readPlan<GraftPlan>();
const base = await openBaseModel(model);
const records = train({ base, baseModelName: 'bench', ...plan });

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
let isFirst = true;
await answerSteps(async () => {
  const started = performance.now();
  const before = process.cpuUsage();
  const loss = isFirst && hasReference ? await reference() : (await untilRecord('step')).loss;
  isFirst = false;
  const { user, system } = process.cpuUsage(before);
  return { seconds: (performance.now() - started) / 1000, cpu: (user + system) / 1e6, loss };
});
