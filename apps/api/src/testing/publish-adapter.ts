import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { AdapterVersion } from '@graft/service/adapters';
import { leaseOf, publishAdapterVersion } from '@graft/service/jobs';
import { type ApiBench, type Caller, chatLine } from './open-api-bench.ts';
import { runJob } from './run-job.ts';

/** Completes a job of `team`, with an adapter for `task` in two files. The weights are random bytes, which nothing loads. */
export async function publishAdapter(
  bench: ApiBench,
  team: Caller,
  suffix: string,
  task = 'CAUSAL_LM',
  examples: string = chatLine,
): Promise<{ version: AdapterVersion; files: Record<string, Buffer> }> {
  const training_file = await team.upload(examples);
  const created = await team.send('POST', '/v1/fine_tuning/jobs', { model: 'tiny', training_file, suffix });
  const job = await runJob(bench, created.json.id);
  const folder = await bench.services.artifacts.stage(job.id, job.leaseEpoch);
  const files = {
    'adapter_config.json': Buffer.from('{"peft_type": "LORA"}'),
    'adapter_model.safetensors': randomBytes(150_000),
  };
  for (const [name, content] of Object.entries(files)) await writeFile(join(folder, name), content);
  const stored = await bench.services.artifacts.publish(folder);
  const published = await publishAdapterVersion(bench.services, leaseOf(job), {
    ...stored,
    lineage: {
      seed: 1,
      base_model: { id: 'tiny', digest: 'b'.repeat(64) },
      peft: { peft_type: 'LORA', task_type: task },
    },
    metrics: null,
    trainedTokens: 123,
  });
  if (!published) throw new Error('not published');
  return { version: published.version, files };
}
