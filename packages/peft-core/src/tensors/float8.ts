import { fromBfloat16, toBfloat16 } from '@graft/tf-graph/bfloat16';
import { GraftError } from '../errors.ts';
import {
  elementCount,
  readPieces,
  type TakePiece,
  type TensorInfo,
  type TensorSource,
} from './tensor-source.ts';

/** The values of the codes of float8 e4m3fn: a sign, four bits of an exponent and three of a mantissa, without infinities. */
export const float8Values = Float32Array.from({ length: 256 }, (_, code) => {
  const [exponent, mantissa] = [(code >> 3) & 15, code & 7];
  if (exponent === 15 && mantissa === 7) return Number.NaN;
  const size = exponent === 0 ? mantissa * 2 ** -9 : (8 + mantissa) * 2 ** (exponent - 10);
  return code < 128 ? size : -size;
});

/** A weight in float8, and the name of its scales. */
interface Packed {
  info: TensorInfo;
  scales: string;
  /** Rows and columns that share a scale, and the scales of a row of them. */
  grid: { rows: number; columns: number; perRow: number };
}

/** Ends of the names of a weight's scales, which multiply it. */
const scaleEnds = ['_scale_inv', '_scale'];
/** Scales of inputs beside a weight, for runtimes that also compute in float8. */
const inputScales = ['activation_scale', 'input_scale'];

/**
 * A source in which weights in float8 with scales are what transformers unpacks them to: bfloat16. Their scales, one for a matrix, a row or a
 * block, are no tensors of it. The same source if it has no such weights. Throws `invalid_model`, which names scales that do not fit.
 * Source: transformers, integrations/finegrained_fp8.py.
 */
export function unpackedFloat8(source: TensorSource): TensorSource {
  const packed = new Map<string, Packed>();
  const hidden = new Set<string>();
  for (const name of source.names()) {
    const info = source.info(name);
    if (info.dtype !== 'F8_E4M3') continue;
    const scales = scaleEnds.map((end) => name + end).find((each) => source.has(each));
    if (scales === undefined) continue;
    packed.set(name, {
      info: { dtype: 'BF16', shape: info.shape },
      scales,
      grid: gridOf(info.shape, source.info(scales).shape, scales),
    });
    hidden.add(scales);
    for (const each of inputScales) hidden.add(name.replace(/[^.]*$/, each));
  }
  return packed.size === 0 ? source : new UnpackedTensors(source, packed, hidden);
}

function gridOf(weight: readonly number[], scales: readonly number[], name: string): Packed['grid'] {
  const isSingle = elementCount(scales) === 1;
  const [rows = 1, columns = 1] = weight.slice(-2);
  const [down, across] = isSingle ? [1, 1] : (scales.slice(-2) as [number, number?]);
  const fits =
    across !== undefined &&
    rows % down === 0 &&
    columns % across === 0 &&
    (isSingle || scales.slice(0, -2).join() === weight.slice(0, -2).join());
  if (!fits || down === 0 || across === 0)
    throw new GraftError(
      'invalid_model',
      `"${name}" has shape [${scales}], which does not divide the rows and columns of its weight [${weight}]`,
      { param: 'model' },
    );
  // One scale for all matrices of a stack.
  const all = isSingle ? elementCount(weight) / columns : rows;
  return { rows: all / down, columns: columns / across, perRow: across };
}

class UnpackedTensors implements TensorSource {
  readonly #source: TensorSource;
  readonly #packed: ReadonlyMap<string, Packed>;
  readonly #hidden: ReadonlySet<string>;

  constructor(source: TensorSource, packed: ReadonlyMap<string, Packed>, hidden: ReadonlySet<string>) {
    this.#source = source;
    this.#packed = packed;
    this.#hidden = hidden;
  }

  names = () => this.#source.names().filter((name) => !this.#hidden.has(name));
  has = (name: string) => this.#source.has(name) && !this.#hidden.has(name);

  info(name: string): TensorInfo {
    const { dtype, shape } = this.#packed.get(name)?.info ?? this.#source.info(name);
    return { dtype, shape: [...shape] };
  }

  async readFloat32(name: string, out?: Float32Array): Promise<Float32Array> {
    if (!this.#packed.has(name)) return this.#source.readFloat32(name, out);
    const values = out ?? new Float32Array(elementCount(this.info(name).shape));
    let at = 0;
    await this.readPieces(name, async (piece) => {
      values.set(piece, at);
      at += piece.length;
    });
    return values;
  }

  async readPieces(name: string, take: TakePiece): Promise<void> {
    const packed = this.#packed.get(name);
    if (!packed) return readPieces(this.#source, name, take);
    const scales = await this.#source.readFloat32(packed.scales);
    const width = packed.info.shape.at(-1) ?? 1;
    let start = 0;
    await readPieces(this.#source, name, async (piece) => {
      scale(piece, start, width, scales, packed.grid);
      start += piece.length;
      fromBfloat16(toBfloat16(piece), piece);
      await take(piece);
    });
  }

  async readBfloat16(name: string, out?: Uint16Array): Promise<Uint16Array> {
    if (!this.#packed.has(name)) return this.#source.readBfloat16(name, out);
    const values = out ?? new Uint16Array(elementCount(this.info(name).shape));
    let at = 0;
    await this.readPieces(name, async (piece) => {
      toBfloat16(piece, values.subarray(at, at + piece.length));
      at += piece.length;
    });
    return values;
  }

  readBytes = async (name: string, start: number, out: Uint8Array) => {
    await this.#source.readBytes?.(name, start, out);
  };
}

/** Multiplies values of a matrix from the place `start` on by their scales. */
function scale(
  values: Float32Array,
  start: number,
  width: number,
  scales: Float32Array,
  { rows, columns, perRow }: Packed['grid'],
): void {
  for (let i = 0; i < values.length; ) {
    const row = Math.floor((start + i) / width);
    const column = (start + i) % width;
    const factor = scales[Math.floor(row / rows) * perRow + Math.floor(column / columns)]!;
    const end = Math.min(values.length, i + columns - (column % columns));
    for (; i < end; i++) values[i]! *= factor;
  }
}
