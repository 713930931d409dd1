import { GraftError } from '../../errors.ts';
import type { WrittenType } from '../../gguf/quantisers/quantize.ts';
import { largestFloat16 } from '../../tensors/float16.ts';

/** Throws `not_exportable` for a value that a tensor of this type does not hold. Packed types but MXFP4 have float16 factors. */
export function checkRange(name: string, values: Float32Array, type: WrittenType): void {
  const largest = ['F32', 'BF16', 'MXFP4'].includes(type) ? Number.MAX_VALUE : largestFloat16;
  // Comparisons with NaN are false.
  const wrong = values.find((value) => !(Math.abs(value) <= largest));
  if (wrong === undefined) return;
  if (!Number.isFinite(wrong))
    throw new GraftError(
      'not_exportable',
      `${name} has the value ${wrong}, so that the model would give no answers: export another adapter, or train this one again`,
      { param: 'adapter' },
    );
  throw new GraftError(
    'not_exportable',
    `options.dtype: ${name} has the value ${wrong}, and float16 holds at most ${largestFloat16}; choose bf16 or f32`,
    { param: 'options.dtype' },
  );
}
