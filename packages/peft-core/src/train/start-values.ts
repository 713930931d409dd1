import { adapterValues } from '../adapter-values.ts';
import { type BaseModel, readAdapter } from '../formats/index.ts';
import { storedName } from '../outlines/stored-name.ts';
import type { PeftModel } from '../peft-model.ts';
import { Random } from '../rng.ts';

/** The adapter's flat vector before the first step: drawn from the seed, made from the base, or an adapter's files. */
export async function startValues(
  model: PeftModel,
  base: BaseModel,
  seed: number,
  initialAdapter: string | null,
): Promise<Float32Array> {
  if (initialAdapter) return adapterValues(model, (await readAdapter(initialAdapter)).tensors);
  const present = new Set(base.tensors.names());
  const values = new Map<string, Float32Array>();
  for (const [stream, { name, init }] of model.attachment!.parameters.entries()) {
    const random = new Random(seed, stream);
    if (init.kind === 'draw') values.set(name, init.draw(random));
    else {
      const weights: Float32Array[] = [];
      for (const parameter of init.parameters) weights.push(await weightOf(parameter, random));
      values.set(name, init.make ? init.make(weights, (other) => values.get(other)!) : weights[0]!);
    }
  }
  return model.layout.flatten((name) => values.get(name));

  async function weightOf(parameter: string, random: Random): Promise<Float32Array> {
    const spec = model.architecture.parameters.find(({ name }) => name === parameter);
    const stored = storedName(model.architecture, parameter, (name) => present.has(name));
    // A head for other labels is not this one.
    const fits = (name: string) =>
      spec?.fresh === undefined || base.tensors.info(name).shape.join() === spec.shape.join();
    if (stored && fits(stored)) return base.tensors.readFloat32(stored);
    if (spec?.fresh === undefined) throw new Error(`the base model has no ${parameter}`);
    const length = spec.shape.reduce((a, b) => a * b, 1);
    return Float32Array.from({ length }, () => spec.fresh! * random.normal());
  }
}
