import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Job, leaseOf, listJobCheckpoints, recordCheckpointAdapter } from '@graft/service/jobs';
import type { ApiBench } from './open-api-bench.ts';

/** Stores the adapter of a step of a running job, as its worker does at an evaluation. Returns the checkpoint's id. */
export async function keepCheckpoint(
  { services }: ApiBench,
  job: Job,
  step: number,
  bestStep = step,
): Promise<string> {
  const folder = await services.artifacts.stage(job.id, job.leaseEpoch);
  await writeFile(join(folder, 'adapter_config.json'), '{"peft_type": "LORA"}');
  await writeFile(join(folder, 'adapter_model.safetensors'), `weights of step ${step} `.repeat(1000));
  await recordCheckpointAdapter(services, leaseOf(job), {
    ...(await services.artifacts.publish(folder)),
    step,
    bestStep,
    metrics: { trainLoss: 1 / step, validationLoss: 2 / step, validation: { x: 1 } },
    lineage: {
      base_model: { id: 'tiny', digest: 'b'.repeat(64) },
      peft: { peft_type: 'LORA', task_type: 'CAUSAL_LM' },
    },
  });
  const { data } = await listJobCheckpoints(services, job.teamId, job.id, { limit: 10 });
  return data.find((each) => each.step === step)!.id;
}
