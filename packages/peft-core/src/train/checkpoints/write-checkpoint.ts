import path from 'node:path';
import { writeSafetensors } from '../../files.ts';
import type { AdapterLayout } from '../../peft-model/adapter-layout.ts';
import { type Manifest, METRICS_FILE, STATE_FILE } from './manifest.ts';
import { type MetricSeries, tensorsOf } from './metric-series.ts';
import { type WrittenCheckpoint, writeWhole } from './write-whole.ts';

/** Name of the flat vector of the best evaluation's adapter. A run that will publish it stores it with its state. */
export const BEST_ADAPTER = 'best_adapter';

/** Everything that a resumed run needs besides its inputs. */
export interface CheckpointState {
  /** Optimizer steps done. The next examples, the learning rate and all random numbers follow from this and the seed. */
  step: number;
  trainedTokens: number;
  /** Flat vectors of the adapter and its Adam moments, by name. */
  state: ReadonlyMap<string, Float32Array>;
  series: MetricSeries;
  /** The references of preference training: see `train/reference.ts`. Null or absent: there are none. */
  references?: Float32Array | null;
}

export const REFERENCES = 'references';

/** Writes `<folder>/step-<n>` as `writeWhole` does. Throws `checkpoint_unwritable`. */
export async function writeCheckpoint(
  folder: string,
  { step, trainedTokens, state, series, references = null }: CheckpointState,
  layout: Pick<AdapterLayout, 'views'>,
  identity: string,
): Promise<WrittenCheckpoint> {
  const tensors = [...state].flatMap(([part, flat]) =>
    [...layout.views(flat)].map(([name, tensor]) => ({ name: `${part}.${name}`, ...tensor })),
  );
  if (references) tensors.push({ name: REFERENCES, shape: [references.length], data: references });
  return await writeWhole(folder, { identity, step, trainedTokens }, async (temporary) => {
    const files: Manifest['files'] = {};
    for (const [name, content] of [
      [STATE_FILE, tensors],
      [METRICS_FILE, tensorsOf(series)],
    ] as const) {
      const { bytes, sha256: digest } = await writeSafetensors(path.join(temporary, name), content);
      files[name] = { bytes, sha256: digest };
    }
    return files;
  });
}
