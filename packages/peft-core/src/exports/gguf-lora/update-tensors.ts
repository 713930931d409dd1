import { layoutOf, rowPlaces, type TensorLayout, writtenNames } from '../../gguf/names.ts';
import { transpose } from '../../tensors/transpose.ts';
import type { LowRankForm, LowRankPart, TensorsByKey } from '../../tuners/method.ts';
import type { GgufModel } from '../gguf/gguf-model.ts';
import { modeOf } from '../mode.ts';

export interface UpdateTensor {
  name: string;
  shape: number[];
  layout: TensorLayout;
  /** Computes its values from the adapter's tensors by key. `alpha`: that of the file. */
  values(tensors: TensorsByKey, alpha: number): Float32Array;
}

const plain: TensorLayout = { rearranged: null, shift: 0 };

/** The `alpha` of a file: that of most updates. llama.cpp multiplies an update by alpha / rank. */
export function alphaOf({ updates }: LowRankForm): number {
  return modeOf(updates.map(({ scale, rank }) => scale * rank)) ?? 1;
}

/**
 * The tensors of an adapter's file: `<weight>.lora_a` `(rank, in)` and `<weight>.lora_b` `(out, rank)`; of E experts `(E, rank, in)` and
 * `(E, out, rank)`; of an embedding A is transposed, `(vocabulary, rank)`. Rows of B are interleaved where those of the weight are. Where an
 * update's scale is not alpha / rank, B holds the rest.
 */
export function updateTensors({ family, outline }: GgufModel, form: LowRankForm): UpdateTensor[] {
  const heads = (part: 'attn_q' | 'attn_k') => (part === 'attn_q' ? outline.heads : outline.kvHeads);
  const experts = outline.routing?.experts ?? 1;
  return form.updates.flatMap((update) => {
    const { module, kind, rank, width, out } = update;
    const names = writtenNames(family, outline, kind === 'experts' ? module : `${module}.weight`);
    return names.flatMap((written): UpdateTensor[] => {
      const [a, b] = [`${written.ggufName}.lora_a`, `${written.ggufName}.lora_b`];
      if (kind === 'experts') {
        const part = written.rows ?? { index: 0, count: 1, alternating: false };
        const own = { experts, rank, out: out / part.count, ...rowPlaces(part, out) };
        return [
          {
            name: a,
            shape: [experts, rank, width],
            layout: plain,
            values: (tensors) => dataOf(tensors, update.a),
          },
          {
            name: b,
            shape: [experts, own.out, rank],
            layout: plain,
            values: (tensors, alpha) =>
              scaled(expertRows(dataOf(tensors, update.b), own), factorOf(update, alpha)),
          },
        ];
      }
      const { rearranged } = layoutOf(family, written, heads);
      // Matrices that are stored (in, out) in Hugging Face's files have updates of the usual form.
      const rows = rearranged === 'transposed' ? null : rearranged;
      const isEmbedding = kind === 'embedding';
      return [
        {
          name: a,
          shape: isEmbedding ? [width, rank] : [rank, width],
          layout: plain,
          values: (tensors) =>
            isEmbedding ? transpose(dataOf(tensors, update.a), [rank, width]) : dataOf(tensors, update.a),
        },
        {
          name: b,
          shape: [out, rank],
          layout: { rearranged: rows, shift: 0 },
          values: (tensors, alpha) => scaled(dataOf(tensors, update.b), factorOf(update, alpha)),
        },
      ];
    });
  });
}

const dataOf = (tensors: TensorsByKey, key: string) => tensors.get(key)!.data;

/** The part of the scale that llama.cpp does not apply: it multiplies by alpha / rank. */
const factorOf = ({ scale, rank }: LowRankPart, alpha: number) => (scale * rank) / alpha;

const scaled = (values: Float32Array, factor: number) =>
  factor === 1 ? values : values.map((value) => value * factor);

/** B `(out, rank · E)`, the experts of a rank side by side: each `step`-th row from `first` on as `(E, out, rank)`. */
function expertRows(
  values: Float32Array,
  { experts, rank, out, first, step }: Record<'experts' | 'rank' | 'out' | 'first' | 'step', number>,
): Float32Array {
  const own = new Float32Array(experts * out * rank);
  for (let expert = 0; expert < experts; expert++)
    for (let row = 0; row < out; row++)
      for (let k = 0; k < rank; k++)
        own[(expert * out + row) * rank + k] = values[((first + row * step) * rank + k) * experts + expert]!;
  return own;
}
