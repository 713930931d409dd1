import { isQuantised, type ResolvedTraining } from '../config/index.ts';
import { type BaseModel, type HostTensor, readAllTensors } from '../files.ts';
import { storedName } from '../outlines/outline.ts';
import { checkBaseDigest, readAdapterFor } from '../peft-model/adapter-fit.ts';
import { adapterValues } from '../peft-model/adapter-values.ts';
import type { PeftModel } from '../peft-model/peft-model.ts';
import { Random } from '../random.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { loadTokenizer } from '../text/index.ts';
import { dequantised } from '../weights/base-storage.ts';

export interface StartOptions {
  seed: number;
  /** `training.base_dtype`, by which the frozen base is stored; absent: as the original. */
  baseStorage?: ResolvedTraining['base_dtype'];
  /** Folder of an adapter to start from. */
  initialAdapter?: string | null;
  /** Safetensors file with every trained parameter, named as in PyTorch. */
  initialParameters?: string | null;
}

/**
 * The adapter's flat vector before the first step: drawn from the seed, derived from the base, or read from files. Values that the pass over
 * the training data sets (`input-pass/`) are not numbers yet.
 * Throws `adapter_mismatch` and `base_model_changed` for files that do not fit.
 */
export async function startValues(
  model: PeftModel,
  base: BaseModel,
  { seed, baseStorage = 'auto', initialAdapter, initialParameters }: StartOptions,
): Promise<Float32Array> {
  if (initialAdapter || initialParameters) {
    const stored = initialAdapter
      ? await readCheckedAdapter(base, initialAdapter)
      : await readParameters(initialParameters!);
    return adapterValues(model, stored);
  }
  const values = new Map<string, Float32Array>();
  for (const [part, { name, init, shape }] of model.attachment!.parameters.entries()) {
    const random = new Random(seed, 'startValues', part);
    // Not a number, so that nothing trains without the pass that sets them.
    if (init.kind === 'inputs') values.set(name, new Float32Array(elementCount(shape)).fill(Number.NaN));
    else if (init.kind === 'draw') values.set(name, init.draw(random));
    else if (init.kind === 'rows') {
      const encode = (text: string) => loadTokenizer(base.tokenizerFiles).encode(text);
      const table = await weightOf(init.parameter, random);
      const width = shape.at(-1)!;
      const rows = init.pick({ random, encode });
      const { factor = 1 } = init;
      const own = new Float32Array(rows.length * width);
      for (const [i, row] of rows.entries())
        own.set(table.subarray(row * width, (row + 1) * width), i * width);
      values.set(name, factor === 1 ? own : own.map((value) => value * factor));
    } else {
      const weights: Float32Array[] = [];
      for (const parameter of init.parameters) weights.push(await weightOf(parameter, random));
      if (init.quantised) {
        // The config was checked with the training's options.
        if (!isQuantised(baseStorage)) throw new Error(`${name} starts from a quantised base`);
        const unpack = dequantised(model.architecture, baseStorage);
        weights.push(...init.parameters.map((parameter, i) => unpack(parameter, weights[i]!)));
      }
      values.set(name, init.make ? init.make(weights, (other) => values.get(other)!, random) : weights[0]!);
    }
  }
  return model.layout.flatten((name) => values.get(name));

  async function weightOf(parameter: string, random: Random): Promise<Float32Array> {
    const { architecture } = model;
    const own = architecture.aliases[parameter] ?? parameter;
    const spec = architecture.parameters.find(({ name }) => name === own);
    const stored = storedName(architecture, parameter, base.tensors);
    // A stored head with another shape is for other labels.
    const fits = (name: string) =>
      spec?.fresh === undefined || base.tensors.info(name).shape.join() === spec.shape.join();
    if (stored && fits(stored)) return base.tensors.readFloat32(stored);
    if (spec?.fresh === undefined) throw new Error(`the base model has no ${parameter}`);
    const length = elementCount(spec.shape);
    return Float32Array.from({ length }, () => spec.fresh! * random.normal());
  }
}

async function readCheckedAdapter(base: BaseModel, folder: string): Promise<Map<string, HostTensor>> {
  const adapter = await readAdapterFor(base, folder);
  await checkBaseDigest(base, adapter);
  return adapter.tensors;
}

/** Reads a file that uses PyTorch's names of a PEFT model's parameters; returns the tensors by their names in adapter files. */
async function readParameters(path: string): Promise<Map<string, HostTensor>> {
  // PyTorch's names also contain PEFT's wrapper and the adapter's name.
  const keyOf = (name: string) =>
    name.replace(/\.modules_to_save(?=\.)/, '').replace(/\.default(?=\.|$)/, '');
  return new Map([...(await readAllTensors(path))].map(([name, tensor]) => [keyOf(name), tensor]));
}
