import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parsePeftConfig } from '@graft/peft-core/config';
import { type AdapterVersion, publishUpload } from '@graft/service/adapters';
import { newId } from '@graft/service/ids';
import type { ApiBench, Caller } from './open-api-bench.ts';

/** Stores a version as if uploaded, without the checks of an upload: its weights are random, and nothing loads them. */
export async function storeAdapter(
  { services }: Pick<ApiBench, 'services'>,
  { teamId }: Caller,
  name: string,
  {
    r = 8,
    parentId = null,
    note = null,
    task = 'CAUSAL_LM',
  }: { r?: number; parentId?: string | null; note?: string | null; task?: string } = {},
): Promise<AdapterVersion> {
  const peft = parsePeftConfig({
    peft_type: 'LORA',
    task_type: task,
    r,
    target_modules: ['q_proj', 'v_proj'],
  });
  const folder = await services.artifacts.stage(newId('version'), 0);
  await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(peft));
  await writeFile(join(folder, 'adapter_model.safetensors'), randomBytes(50_000));
  const stored = await services.artifacts.publish(folder);
  const base = { id: 'tiny', digest: 'b'.repeat(64) };
  return await publishUpload(
    services,
    teamId,
    { ...stored, name, base, peft, parentId, note },
    { keyId: 'key-test' },
  );
}
