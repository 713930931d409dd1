import { transpose } from '../tensors/transpose.ts';
import { type ExpertRows, restoredRow, rowPlaces, type TensorLayout } from './names.ts';
import { packedBytes, quantize, type WrittenType } from './quantisers/quantize.ts';
import { ggufTypes } from './types.ts';

/** Values packed at a time, about: 1 MiB of float32. */
const valuesPerPiece = 1 << 18;

/**
 * Packs a tensor that has Hugging Face's layout and gives its bytes to `append` piece by piece. `shape` is Hugging Face's, `values` are
 * overwritten. Rows are whole blocks of `type`.
 */
export async function packTensor(
  values: Float32Array,
  shape: readonly number[],
  { rearranged, shift }: TensorLayout,
  type: WrittenType,
  append: (bytes: Uint8Array) => Promise<void>,
): Promise<void> {
  const arranged = rearranged === 'transposed' ? transpose(values, shape) : values;
  const width = (rearranged === 'transposed' ? shape[0] : shape.at(-1)) ?? 1;
  const rows = arranged.length / Math.max(1, width);
  const heads = rearranged && rearranged !== 'transposed' ? rearranged.heads : null;
  // Vectors are one row: biases whose values are interleaved like rows.
  const isVector = shape.length === 1;
  const rowWidth = isVector ? 1 : width;
  const rowsPerHead = heads ? (isVector ? shape[0]! : rows) / heads : 1;
  const unit = heads ? rowsPerHead * rowWidth : isVector ? ggufTypes[type].values : width;
  const size = Math.max(1, Math.floor(valuesPerPiece / unit)) * unit;
  const buffer = heads ? new Float32Array(Math.min(size, arranged.length)) : null;
  for (let start = 0; start < arranged.length; start += size) {
    let piece = arranged.subarray(start, Math.min(start + size, arranged.length));
    if (buffer) {
      const from = piece;
      piece = buffer.subarray(0, from.length);
      for (let row = 0; row * rowWidth < from.length; row++) {
        const source = restoredRow(row, rowsPerHead) * rowWidth;
        piece.set(from.subarray(source, source + rowWidth), row * rowWidth);
      }
    }
    if (shift !== 0) for (let i = 0; i < piece.length; i++) piece[i]! += shift;
    const bytes = new Uint8Array(packedBytes(type, piece.length));
    quantize(type, piece, bytes);
    await append(bytes);
  }
}

/** Some of the rows of each of E stacked matrices `(E, rows, width)`, or of biases `(E, rows)`: `(E, rows / count, width)`. */
export function rowsOfEach(values: Float32Array, shape: readonly number[], part: ExpertRows): Float32Array {
  const [experts, rows, width = 1] = shape as [number, number, number?];
  const own = rows / part.count;
  const { first, step } = rowPlaces(part, rows);
  // Rows that follow one another are copied together.
  const size = step === 1 ? own * width : width;
  const out = new Float32Array(experts * own * width);
  for (let at = 0; at < out.length; at += size) {
    const row = (at / width) % own;
    const start = (((at / width - row) / own) * rows + first + row * step) * width;
    out.set(values.subarray(start, start + size), at);
  }
  return out;
}
