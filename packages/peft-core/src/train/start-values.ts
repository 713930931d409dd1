import { adapterValues } from '../adapter-values.ts';
import { type BaseModel, readAdapter } from '../formats/index.ts';
import type { PeftModel } from '../peft-model.ts';
import { Random } from '../rng.ts';

/** The adapter's flat vector before the first step: drawn from the seed, copied from the base, or an adapter's files. */
export async function startValues(
  model: PeftModel,
  base: BaseModel,
  seed: number,
  initialAdapter: string | null,
): Promise<Float32Array> {
  if (initialAdapter) return adapterValues(model, (await readAdapter(initialAdapter)).tensors);
  const values = new Map<string, Float32Array>();
  for (const [stream, { name, init }] of model.attachment!.parameters.entries()) {
    const data =
      init.kind === 'draw'
        ? init.draw(new Random(seed, stream))
        : await base.tensors.readFloat32(init.parameter);
    values.set(name, data);
  }
  return model.layout.flatten((name) => values.get(name));
}
