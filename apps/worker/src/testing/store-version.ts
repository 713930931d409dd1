import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileTensorsFor } from '@graft/peft-core/check';
import { parsePeftConfig } from '@graft/peft-core/config';
import { writeSafetensors } from '@graft/peft-core/files';
import { type AdapterVersion, publishUpload } from '@graft/service/adapters';
import { newId } from '@graft/service/ids';
import type { WorkerBench } from './worker-bench.ts';

/** Stores a version of a LoRA adapter for `tiny`, or for another base model of the bench, as if uploaded. */
export async function storeVersion(
  { services, teamId }: Pick<WorkerBench, 'services' | 'teamId'>,
  name: string,
  base = 'tiny',
): Promise<AdapterVersion> {
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 4, target_modules: ['q_proj', 'v_proj'] });
  const model = (await services.baseModels.get(base))!;
  const folder = await services.artifacts.stage(newId('version'), 0);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, 'adapter_config.json'), JSON.stringify(peft));
  const tensors = fileTensorsFor(peft, model.config)
    .filter(({ needless }) => !needless)
    .map(({ key, shape }) => ({
      name: key,
      shape,
      data: Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => ((i * 7) % 13) / 100),
    }));
  await writeSafetensors(join(folder, 'adapter_model.safetensors'), tensors);
  const stored = await services.artifacts.publish(folder);
  const digest = await model.digest();
  const upload = { ...stored, name, base: { id: base, digest }, peft, parentId: null, note: null };
  return await publishUpload(services, teamId, upload, { keyId: 'key-test' });
}
