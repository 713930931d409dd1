import { GraftError } from '../errors.ts';
import { elementCount, readPieces, type TensorInfo, type TensorSource } from './tensor-source.ts';

/**
 * How a family's checkpoints may split weights `(E, out, in)`: the end of the weight's name, and the ends of the names of its parts. A `*` is
 * the number of an expert, whose matrices `(out, in)`, all of one shape, are stacked along `out`. A part without `*` has the matrices of
 * all experts, `(E, out, in)`.
 */
export type StackedNames = Readonly<Record<string, readonly string[]>>;

/** The tensors of one weight: those of each expert, in the order of their rows; or, if `whole`, one list of those of all experts. */
interface Stack {
  experts: string[][];
  whole: boolean;
  info: TensorInfo;
}

/**
 * A source in which the parts of `stacked` weights are one tensor each. Other tensors, and weights that are not split, are unchanged.
 * Throws `invalid_model`, which names a part that is missing or of another shape. An expert's matrix is read into its place; of several
 * parts with the matrices of all experts, one at a time is in memory a second time.
 */
export function stackedTensors(source: TensorSource, stacked: StackedNames): TensorSource {
  const parts = collectParts(source.names(), stacked);
  if (parts.size === 0) return source;
  const stacks = new Map([...parts].map(([name, experts]) => [name, stackOf(source, name, experts)]));
  const hidden = new Set([...stacks.values()].flatMap(({ experts }) => experts.flat()));
  const names = [...source.names().filter((name) => !hidden.has(name)), ...stacks.keys()];
  const present = new Set(names);

  async function readParts<T extends Float32Array | Uint16Array>(
    { experts, whole, info }: Stack,
    out: T,
    read: (name: string, into?: T) => Promise<T>,
  ): Promise<T> {
    const parts = experts.flat();
    if (parts.length === 1) return read(parts[0]!, out);
    let at = 0;
    if (!whole) {
      for (const name of parts) {
        const end = at + elementCount(source.info(name).shape);
        await read(name, out.subarray(at, end) as T);
        at = end;
      }
      return out;
    }
    const count = info.shape[0]!;
    for (const name of parts) {
      const values = await read(name);
      const size = values.length / count;
      for (let expert = 0; expert < count; expert++)
        out.set(values.subarray(expert * size, (expert + 1) * size), (expert * out.length) / count + at);
      at += size;
    }
    return out;
  }

  return {
    names: () => names,
    has: (name) => present.has(name),
    info: (name) => stacks.get(name)?.info ?? source.info(name),
    async readFloat32(name, out) {
      const stack = stacks.get(name);
      if (!stack) return source.readFloat32(name, out);
      const values = out ?? new Float32Array(elementCount(stack.info.shape));
      return readParts(stack, values, (part, into) => source.readFloat32(part, into));
    },
    async readPieces(name, take) {
      const stack = stacks.get(name);
      if (!stack) return readPieces(source, name, take);
      // The matrices of an expert follow one another, and may be larger than a piece.
      if (stack.whole) return take(await this.readFloat32(name));
      for (const part of stack.experts.flat()) await readPieces(source, part, take);
    },
    async readBfloat16(name, out) {
      const stack = stacks.get(name);
      if (!stack) return source.readBfloat16(name, out);
      const values = out ?? new Uint16Array(elementCount(stack.info.shape));
      return readParts(stack, values, (part, into) => source.readBfloat16(part, into));
    },
  };
}

/** The names of each weight's parts, by expert. */
function collectParts(names: readonly string[], stacked: StackedNames): Map<string, string[][]> {
  const found = new Map<string, string[][]>();
  for (const [end, parts] of Object.entries(stacked))
    for (const [row, part] of parts.entries()) {
      const pattern = new RegExp(`^(.*?)${part.replaceAll('.', '\\.').replace('*', '(\\d{1,5})')}$`);
      for (const name of names) {
        const match = pattern.exec(name);
        if (!match) continue;
        const weight = match[1]! + end;
        if (!found.has(weight)) found.set(weight, []);
        const experts = found.get(weight)!;
        const expert = Number(match[2] ?? 0);
        experts[expert] ??= [];
        experts[expert][row] = name;
      }
    }
  for (const [weight, experts] of found)
    for (let expert = 0; expert < experts.length; expert++) {
      const own = experts[expert] ?? [];
      const count = stacked[Object.keys(stacked).find((end) => weight.endsWith(end))!]!.length;
      if (own.filter(Boolean).length < count) throw invalid(`${weight} lacks a matrix of expert ${expert}`);
    }
  return found;
}

function stackOf(source: TensorSource, name: string, experts: string[][]): Stack {
  const { dtype, shape: first } = source.info(experts[0]![0]!);
  const whole = first.length === 3;
  for (const part of experts.flat()) {
    const { shape } = source.info(part);
    if (shape.join() === first.join() && shape.length === (whole ? 3 : 2)) continue;
    throw invalid(`"${part}" has shape [${shape}], and does not fit the other matrices of ${name}`);
  }
  const [rows, width] = first.slice(-2) as [number, number];
  const count = whole ? first[0]! : experts.length;
  return { experts, whole, info: { dtype, shape: [count, rows * experts[0]!.length, width] } };
}

/** The tensors of an expert's matrices within a weight `(E, out, in)`: name, rows and the place of their first value. */
export function splitStack(
  weight: string,
  shape: readonly number[],
  stacked: StackedNames,
): { name: string; shape: number[]; start: number }[] {
  const end = Object.keys(stacked).find((each) => weight === each || weight.endsWith(`.${each}`));
  if (end === undefined) return [];
  const [count, rows, width] = shape as [number, number, number];
  const parts = stacked[end]!;
  const own = rows / parts.length;
  return Array.from({ length: count }, (_, expert) =>
    parts.map((part, i) => ({
      name: weight.slice(0, weight.length - end.length) + part.replace('*', String(expert)),
      shape: [own, width],
      start: (expert * parts.length + i) * own * width,
    })),
  ).flat();
}

function invalid(message: string): GraftError {
  return new GraftError('invalid_model', message, { param: 'model' });
}
