import { GraftError } from '../errors.ts';
import { type Adapter, type BaseModel, readAdapter } from '../files.ts';
import type { Architecture } from '../models/architecture.ts';
import { defaultTask } from '../outlines/index.ts';
import { attach } from '../tuners/registry.ts';
import type { Attachment } from '../tuners/tuner.ts';
import { adapterArchitecture } from './adapter-architecture.ts';
import { adapterFaults, mismatch } from './adapter-values.ts';

/** An adapter together with its architecture and attachment, which fit the base model. */
export interface FittingAdapter {
  adapter: Adapter;
  architecture: Architecture;
  attachment: Attachment;
}

/**
 * Reads the adapter in `folder` for `base`. Throws what `readAdapter` throws; `unsupported_task`; `base_model_changed` if the
 * folder says that it was trained on other weights; `adapter_mismatch`, with the reasons, if it does not fit the model.
 */
export async function readFittingAdapter(base: BaseModel, folder: string): Promise<FittingAdapter> {
  const adapter = await readAdapterFor(base, folder);
  await checkBaseDigest(base, adapter);
  const architecture = adapterArchitecture(base, adapter);
  const attachment = attached(adapter, architecture);
  const faults = faultsOn(adapter, attachment);
  if (faults.length > 0) throw mismatch(faults);
  return { adapter, architecture, attachment };
}

/** Reads an adapter. If its files name no task, uses the base model's. Throws what `readAdapter` throws. */
export async function readAdapterFor(base: BaseModel, folder: string): Promise<Adapter> {
  return readAdapter(folder, defaultTask(base.config));
}

/** All reasons why an adapter does not fit `base`, and its attachment; null if it cannot be attached. */
export async function adapterFit(
  base: BaseModel,
  adapter: Adapter,
): Promise<{ attachment: Attachment | null; faults: string[] }> {
  const faults: string[] = [];
  const collect = async <T>(body: () => T | Promise<T>): Promise<T | null> => {
    try {
      return await body();
    } catch (error) {
      if (!(error instanceof GraftError)) throw error;
      faults.push(error.message);
      return null;
    }
  };
  await collect(() => checkBaseDigest(base, adapter));
  const attachment = await collect(() => attached(adapter, adapterArchitecture(base, adapter)));
  if (attachment) faults.push(...faultsOn(adapter, attachment));
  return { attachment, faults };
}

/** Throws `base_model_changed` if an adapter says that it was trained on other weights than those of `base`. */
export async function checkBaseDigest(base: BaseModel, { baseDigest }: Adapter): Promise<void> {
  if (baseDigest === null) return;
  const digest = await base.digest();
  if (digest === baseDigest) return;
  throw new GraftError(
    'base_model_changed',
    `the adapter was trained on weights with the SHA-256 ${baseDigest}, and those of this base model have ${digest}; give it the model that it was trained on. If this one is the same in another form, take base_model_sha256 out of the adapter's README.md`,
    { param: 'model' },
  );
}

/** A config that does not fit the model is the user's error in a job; in an adapter's files it means that the model is the wrong one. */
function attached({ config }: Adapter, architecture: Architecture): Attachment {
  try {
    return attach(config, architecture, 'folded');
  } catch (error) {
    if (!(error instanceof GraftError) || error.code === 'unsupported_task') throw error;
    throw mismatch([error.message], error);
  }
}

function faultsOn({ config, tensors }: Adapter, { parameters, copies }: Attachment): string[] {
  return adapterFaults(config, parameters, tensors, copies);
}
