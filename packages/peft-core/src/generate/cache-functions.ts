import { tf } from '@graft/tf-graph';
import { encodedInput } from '../peft-model/encoded-input.ts';
import { adapterTensors } from '../peft-model/peft-model.ts';
import { BLOCK, RESERVED } from './block-pool.ts';
import { type ModelFunctions, type ModelParts, rowsOf } from './step.ts';

/** Cache row of padding. */
export const PADDING = RESERVED.padding * BLOCK;

/**
 * The functions that write to the cache without computing a step: an adapter's prefix, and an encoder's states. `lengthFor`: the number
 * of positions, padding included, that the encoder computes for an input of this length.
 */
export function cacheFunctions(
  { builder, program, name, model, cache }: ModelParts,
  lengthFor: (positions: number) => number = (positions) => positions,
): Pick<ModelFunctions, 'encode' | 'prime'> {
  const layers = Array.from({ length: model.architecture.layers }, (_, layer) => layer);
  const prefix = model.attachment?.prefixLength ?? 0;
  const ints = (length: number) => ({ shape: [length], dtype: 'int32' }) as const;

  /** Writes the prefix of every layer to the cache positions of the first tokens. */
  const primeOn = builder.onDemand(program, () =>
    builder.function(`${name}/prime`, { places: ints(prefix) }, ({ places }) =>
      cache.trace(() => {
        const parameters = adapterTensors(model);
        const flat = (x: tf.Tensor) => tf.reshape(tf.transpose(x, [1, 0, 2]), [prefix, -1]);
        const write = cache.writeAt(places);
        for (const layer of layers) {
          const { keys, values } = model.prefix({ layer }, parameters)!;
          write(layer, flat(keys), flat(values));
        }
        return {};
      }),
    ),
  );
  /** Runs the encoder on `tokens` positions, padded at the end; stores the keys and values that decoder layers compute from its states. */
  const encodeOn = builder.onDemand(program, (tokens: number) => {
    const inputs = { ids: ints(tokens), segments: ints(tokens), places: ints(tokens) };
    return builder.function(`${name}/encode_${tokens}`, inputs, ({ ids, segments, places }) =>
      cache.trace(() => {
        const keysAndValues = encodedInput(model, { ids, segments });
        const write = cache.writeAt(places);
        for (const layer of layers) {
          const { k, v } = keysAndValues(layer);
          write(layer, k, v);
        }
        return {};
      }),
    );
  });
  return {
    prime(blocks) {
      if (prefix > 0) program.run(primeOn(), { places: Int32Array.from(rowsOf(blocks, prefix)) });
    },
    encode(ids, blocks) {
      const tokens = lengthFor(ids.length);
      const padded = new Int32Array(tokens);
      padded.set(ids);
      const segments = new Int32Array(tokens).fill(1, 0, ids.length);
      const places = new Int32Array(tokens).fill(PADDING);
      places.set(rowsOf(blocks, ids.length));
      program.run(encodeOn(tokens), { ids: padded, segments, places });
    },
  };
}
