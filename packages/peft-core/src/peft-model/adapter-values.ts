import type { Program, ProgramFunction, tf } from '@graft/tf-graph';
import type { PeftConfig } from '../config/index.ts';
import { GraftError } from '../errors.ts';
import type { BaseModel, HostTensor } from '../files.ts';
import { storedName } from '../outlines/outline.ts';
import { Random } from '../random.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { attach, keysOf } from '../tuners/registry.ts';
import type { AdapterParameter, FileCopy } from '../tuners/tuner.ts';
import type { PeftModel } from './peft-model.ts';

/**
 * Converts an adapter file's tensors to the flat vector of `model`.
 * Throws `adapter_mismatch`, which names missing and unknown keys and those of another shape.
 */
export function adapterValues(model: PeftModel, tensors: Map<string, HostTensor>): Float32Array {
  const { parameters = [], copies } = model.attachment ?? {};
  const faults = adapterFaults(model.peft!, parameters, tensors, copies);
  if (faults.length > 0) throw mismatch(faults);
  const keyOf = keysOf(model.peft!);
  const unsaved = new Map(parameters.flatMap((each) => (each.unsaved ? [[each.name, each]] : [])));
  return model.layout.flatten((name) => drawnAgain(unsaved.get(name)) ?? tensors.get(keyOf(name))?.data);
}

/** The values of a constant that files leave out. */
function drawnAgain(parameter: AdapterParameter | undefined): Float32Array | undefined {
  return parameter?.init.kind === 'draw' ? parameter.init.draw(new Random(0, 'startValues')) : undefined;
}

/**
 * The differences between an adapter file's tensors and the `parameters` of this config: keys that are missing, unknown or of another
 * shape. `copies` may be missing.
 */
export function adapterFaults(
  peft: PeftConfig,
  parameters: Pick<AdapterParameter, 'name' | 'shape' | 'unsaved'>[],
  tensors: ReadonlyMap<string, { shape: number[] }>,
  copies: FileCopy[] = [],
): string[] {
  const keyOf = keysOf(peft);
  const saved = parameters.filter(({ unsaved }) => !unsaved);
  const wanted = new Map([...saved, ...copies].map((p) => [keyOf(p.name), p]));
  const needless = new Set(copies.map(({ name }) => keyOf(name)));
  const faults: string[] = [];
  for (const [key, { shape }] of wanted) {
    const found = tensors.get(key);
    if (!found) {
      if (!needless.has(key)) faults.push(`${key} is missing`);
    } else if (found.shape.join() !== shape.join())
      faults.push(
        `${key} has shape [${found.shape}], this base model needs [${shape}]${resized(key, found.shape, shape)}`,
      );
  }
  for (const [key, { shape }] of tensors)
    if (!wanted.has(key))
      faults.push(
        isTokenTable(key, shape)
          ? `${key} is a table of ${shape[0]} tokens: PEFT saved the embeddings whole (save_embedding_layers), as it does when the vocabulary was resized; save the base model itself with its new vocabulary, or train new tokens by trainable_token_indices`
          : `${key} is not known to this adapter's config on this base model`,
      );
  return faults;
}

/** Creates the error `adapter_mismatch` with the first of the reasons. */
export function mismatch(faults: string[], cause?: unknown): GraftError {
  const more = faults.length > 5 ? ` (and ${faults.length - 5} more)` : '';
  return new GraftError(
    'adapter_mismatch',
    `the adapter does not fit the base model: ${faults.slice(0, 5).join('; ')}${more}`,
    { param: 'adapter', ...(cause ? { cause } : {}) },
  );
}

/** Checks whether a key names a weight with a row for each token: an input or output embedding of any architecture. */
function isTokenTable(key: string, shape: number[]): boolean {
  return shape.length === 2 && /\b(embed_tokens|wte|word_embeddings|shared|lm_head)\.weight$/.test(key);
}

function resized(key: string, found: number[], wanted: number[]): string {
  if (!isTokenTable(key, found) || found[1] !== wanted[1]) return '';
  return `: it was saved with a resized vocabulary of ${found[0]} tokens (save_embedding_layers), which the base model must have too`;
}

/** The function that computes the tensors of an adapter's files from the trained parameters. */
export type FoldFunction = ProgramFunction<Record<never, never>, Record<string, tf.Tensor>>;

/** The tensors of an adapter's files: the trained ones, and copies of base weights. */
export async function adapterTensorsToSave(
  { model, program, fold }: { model: PeftModel; program: Program; fold: FoldFunction | null },
  base: BaseModel,
): Promise<Map<string, HostTensor>> {
  const keyOf = keysOf(model.peft!);
  const flat = program.read(['adapter']).get('adapter') as Float32Array;
  const saved = new Map(model.layout.views(flat));
  for (const { name, unsaved } of model.attachment?.parameters ?? []) if (unsaved) saved.delete(name);
  if (fold) {
    // The files hold the encoder's output; other modules that are saved in full keep their trained values.
    const kept = new Set(attach(model.peft!, model.architecture, 'folded').parameters.map((p) => p.name));
    for (const name of saved.keys()) if (!kept.has(name)) saved.delete(name);
    for (const [name, { shape, data }] of Object.entries(program.run(fold, {})))
      saved.set(name, { shape, data: data as Float32Array });
  }
  for (const { name, shape, of } of model.attachment?.copies ?? []) {
    if ('adapter' in of) saved.set(name, saved.get(of.adapter)!);
    else {
      const stored = storedName(model.architecture, of.base, base.tensors);
      // A head that the base lacks is copied as zeros. PEFT's copy holds the head's values before training.
      const size = elementCount(shape);
      const data = stored ? await base.tensors.readFloat32(stored) : new Float32Array(size);
      saved.set(name, { shape, data });
    }
  }
  return new Map([...saved].map(([name, tensor]) => [keyOf(name), tensor]));
}
