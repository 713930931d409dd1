import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { GraftError } from '../errors.ts';
import { MXFP4_BLOCK, unpackMxfp4 } from './mxfp4.ts';
import {
  elementCount,
  type Fill,
  readInChunks,
  readPieces,
  readRows,
  roundToBfloat16,
  type TensorInfo,
  type TensorSource,
  valuesPerChunk,
  withBuffers,
} from './tensor-source.ts';

/** How a checkpoint holds one weight `(E, out, in)`. */
interface Held {
  info: TensorInfo;
  /** The tensors of its parts. */
  names: string[];
  /** The values from a place on, which is the start of a block; null: the tensor is `(E, in, out)`. */
  fill: Fill | null;
}

const [BLOCKS, SCALES] = ['_blocks', '_scales'];

/**
 * A source in which weights whose names end with one of `ends` are `(E, out, in)`. The checkpoint holds them as `(E, in, out)`, or in
 * MXFP4: `<name>_blocks` `(E, out, in / 32, 16)` bytes of two codes and `<name>_scales` `(E, out, in / 32)`. Throws `invalid_model`, which
 * names a tensor of another shape or type.
 */
export function turnedExperts(source: TensorSource, ends: readonly string[]): TensorSource {
  const held = new Map<string, Held>();
  for (const name of source.names()) {
    const plain = name.endsWith(BLOCKS) ? name.slice(0, -BLOCKS.length) : name;
    if (!ends.some((end) => plain === end || plain.endsWith(`.${end}`))) continue;
    const own = plain === name ? turned(source, name) : packed(source, plain);
    if (own) held.set(plain, own);
  }
  if (held.size === 0) return source;
  const hidden = new Set([...held.values()].flatMap(({ names }) => names));
  const names = [...source.names().filter((name) => !hidden.has(name)), ...held.keys()];
  const present = new Set(names);
  const rest: TensorSource = {
    names: () => names,
    has: (name) => present.has(name),
    info: (name) => held.get(name)?.info ?? source.info(name),
    async readFloat32(name, out) {
      const own = held.get(name);
      if (!own) return source.readFloat32(name, out);
      const values = out ?? new Float32Array(elementCount(own.info.shape));
      if (own.fill) return await readInChunks(values, valuesPerChunk, own.fill);
      await turnedPieces(source, name, own.info.shape, (piece, put) => put(piece, values));
      return values;
    },
    async readPieces(name, take) {
      const own = held.get(name);
      if (!own) return await readPieces(source, name, take);
      const { fill } = own;
      if (!fill) {
        const [, out, width] = own.info.shape as [number, number, number];
        return await readRows(source, name, out * width, (experts) =>
          take(turnedBack(experts, [experts.length / (out * width), width, out])),
        );
      }
      const count = elementCount(own.info.shape);
      await withBuffers([valuesPerChunk], count, async ([buffer]) => {
        for (let start = 0; start < count; start += valuesPerChunk) {
          const piece = buffer!.subarray(0, Math.min(valuesPerChunk, count - start));
          await fill(start, piece);
          await take(piece);
        }
      });
    },
    async readBfloat16(name, out) {
      const own = held.get(name);
      if (!own) return source.readBfloat16(name, out);
      const values = out ?? new Uint16Array(elementCount(own.info.shape));
      if (own.fill) return await roundToBfloat16(values, valuesPerChunk, own.fill);
      await turnedPieces(source, name, own.info.shape, (piece, put) => {
        const rounded = new Uint16Array(piece.length);
        toBfloat16(piece, rounded);
        put(rounded, values);
      });
      return values;
    },
  };
  return rest;
}

/** Returns true if a checkpoint's weights of `ends` are in MXFP4. */
export const holdsMxfp4 = (names: readonly string[], ends: readonly string[]): boolean =>
  names.some((name) => ends.some((end) => name === end + BLOCKS || name.endsWith(`.${end}${BLOCKS}`)));

/** Null for a tensor that is no stack of matrices, whose shape is then reported. */
function turned(source: TensorSource, name: string): Held | null {
  const { dtype, shape } = source.info(name);
  if (shape.length !== 3) return null;
  const [experts, width, out] = shape as [number, number, number];
  return { info: { dtype, shape: [experts, out, width] }, names: [name], fill: null };
}

function packed(source: TensorSource, name: string): Held {
  const [blocks, scales] = [name + BLOCKS, name + SCALES] as [string, string];
  if (!source.has(scales)) throw invalid(`the model lacks the tensor "${scales}" beside "${blocks}"`);
  const { shape } = source.info(blocks);
  const [experts, out, groups, bytes] = shape as [number, number, number, number];
  if (shape.length !== 4 || bytes !== MXFP4_BLOCK / 2)
    throw invalid(`"${blocks}" has shape [${shape}]; MXFP4 has four axes, the last of ${MXFP4_BLOCK / 2}`);
  const own = source.info(scales).shape;
  if (own.join() !== [experts, out, groups].join())
    throw invalid(`"${scales}" has shape [${own}], and does not fit "${blocks}" of [${shape}]`);
  for (const each of [blocks, scales]) {
    const { dtype } = source.info(each);
    if (dtype !== 'U8' || !source.readBytes) throw invalid(`"${each}" is stored as ${dtype}; MXFP4 is U8`);
  }
  return {
    info: { dtype: 'MXFP4', shape: [experts, out, groups * MXFP4_BLOCK] },
    names: [blocks, scales],
    async fill(start, target) {
      const codes = new Uint8Array(target.length / 2);
      const factors = new Uint8Array(target.length / MXFP4_BLOCK);
      await source.readBytes!(blocks, start / 2, codes);
      await source.readBytes!(scales, start / MXFP4_BLOCK, factors);
      unpackMxfp4(codes, factors, target);
    },
  };
}

/** Writes a piece of the stored values `(E, in, out)` into all values `(E, out, in)`. */
type Put = <T extends Float32Array | Uint16Array>(piece: T, all: T) => void;

/** Calls `each` with the stored values in pieces, so that they are in memory only once. `shape`: `(E, out, in)`. */
async function turnedPieces(
  source: TensorSource,
  name: string,
  shape: readonly number[],
  each: (piece: Float32Array, put: Put) => void,
): Promise<void> {
  const [, out, width] = shape as [number, number, number];
  let at = 0;
  await readPieces(source, name, async (piece) => {
    const start = at;
    at += piece.length;
    each(piece, (values, all) => {
      let column = start % out;
      let row = (start - column) / out;
      for (let i = 0; i < values.length; i++) {
        const expert = Math.floor(row / width);
        all[(expert * out + column) * width + (row - expert * width)] = values[i]!;
        column++;
        if (column < out) continue;
        column = 0;
        row++;
      }
    });
  });
}

/** The matrices `(E, rows, columns)` as `(E, columns, rows)`. */
export function turnedBack(values: Float32Array, [experts, rows, columns]: readonly number[]): Float32Array {
  const own = new Float32Array(values.length);
  for (let expert = 0; expert < experts!; expert++)
    for (let row = 0; row < rows!; row++)
      for (let column = 0; column < columns!; column++)
        own[(expert * columns! + column) * rows! + row] = values[(expert * rows! + row) * columns! + column]!;
  return own;
}

function invalid(message: string): GraftError {
  return new GraftError('invalid_model', message, { param: 'model' });
}
