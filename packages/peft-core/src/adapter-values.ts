import { GraftError } from './errors.ts';
import type { PeftModel } from './peft-model.ts';

/** Prefix of every key in adapter_model.safetensors. */
export const KEY_PREFIX = 'base_model.model.';

/**
 * An adapter file's tensors as the flat vector of `model`.
 * Throws `adapter_mismatch` naming keys that are missing, of another shape, or not the model's.
 */
export function adapterValues(
  model: PeftModel,
  tensors: Map<string, { shape: number[]; data: Float32Array }>,
): Float32Array {
  const faults: string[] = [];
  const wanted = new Map(model.layout.entries.map((e) => [KEY_PREFIX + e.name, e]));
  for (const [key, { shape }] of wanted) {
    const found = tensors.get(key);
    if (!found) faults.push(`${key} is missing`);
    else if (found.shape.join() !== shape.join())
      faults.push(`${key} has shape [${found.shape}], this base model needs [${shape}]`);
  }
  for (const key of tensors.keys())
    if (!wanted.has(key)) faults.push(`${key} is not known to this adapter's config on this base model`);
  if (faults.length > 0) {
    const more = faults.length > 5 ? ` (and ${faults.length - 5} more)` : '';
    throw new GraftError(
      'adapter_mismatch',
      `the adapter does not fit the base model: ${faults.slice(0, 5).join('; ')}${more}`,
      { param: 'adapter' },
    );
  }
  return model.layout.flatten((name) => tensors.get(KEY_PREFIX + name)?.data);
}
