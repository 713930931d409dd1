import { toBfloat16 } from '@graft/tf-graph/bfloat16';
import { GraftError } from '../errors.ts';
import { elementCount, readPieces, type TensorInfo, type TensorSource } from './tensor-source.ts';

/**
 * How a family's checkpoints may split weights `(E, out, in)`: the end of the weight's name, and the ends of the names of its parts. A `*` is
 * the number of an expert, whose matrices `(out, in)`, all of one shape, are stacked along `out`. A part without `*` has the matrices of
 * all experts, `(E, out, in)`, or their biases, `(E, out)`.
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
 * Throws `invalid_model`, which names a part that is missing or of another shape. Parts are read into their places, so that no matrix is in
 * memory twice. `alternating`: an expert's rows are those of its parts in turn, instead of part by part.
 */
export function stackedTensors(
  source: TensorSource,
  stacked: StackedNames,
  { alternating = false }: { alternating?: boolean } = {},
): TensorSource {
  const parts = collectParts(source.names(), stacked);
  if (parts.size === 0) return source;
  const stacks = new Map(
    [...parts].map(([name, experts]) => [name, stackOf(source, name, experts, isWhole(stacked, name))]),
  );
  const hidden = new Set([...stacks.values()].flatMap(({ experts }) => experts.flat()));
  const names = [...source.names().filter((name) => !hidden.has(name)), ...stacks.keys()];
  const present = new Set(names);

  async function readParts<T extends Float32Array | Uint16Array>(
    { experts, whole, info }: Stack,
    out: T,
    read: (name: string, into: T) => Promise<T>,
    store: (piece: Float32Array, into: T) => void,
  ): Promise<T> {
    const parts = experts.flat();
    if (parts.length === 1) return read(parts[0]!, out);
    if (!whole) {
      let at = 0;
      for (const name of parts) {
        const end = at + elementCount(source.info(name).shape);
        await read(name, out.subarray(at, end) as T);
        at = end;
      }
      return out;
    }
    const [count, , width = 1] = info.shape as [number, number, number?];
    // Values of one part that follow one another in the weight.
    const run = alternating ? width : out.length / count / parts.length;
    for (const [part, name] of parts.entries()) {
      let at = 0;
      await readPieces(source, name, async (piece) => {
        for (let done = 0; done < piece.length; ) {
          const within = at % run;
          const size = Math.min(run - within, piece.length - done);
          const start = (at - within) * parts.length + part * run + within;
          store(piece.subarray(done, done + size), out.subarray(start, start + size) as T);
          done += size;
          at += size;
        }
      });
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
      return readParts(
        stack,
        values,
        (part, into) => source.readFloat32(part, into),
        (piece, into) => into.set(piece),
      );
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
      return readParts(
        stack,
        values,
        (part, into) => source.readBfloat16(part, into),
        (piece, into) => void toBfloat16(piece, into),
      );
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
      const count = partsOf(stacked, weight).length;
      if (own.filter(Boolean).length < count) throw invalid(`${weight} lacks a matrix of expert ${expert}`);
    }
  return found;
}

/** The ends of the names of a weight's parts. */
const partsOf = (stacked: StackedNames, weight: string): readonly string[] =>
  stacked[Object.keys(stacked).find((end) => weight.endsWith(end))!]!;

const isWhole = (stacked: StackedNames, weight: string) => !partsOf(stacked, weight)[0]!.includes('*');

function stackOf(source: TensorSource, name: string, experts: string[][], whole: boolean): Stack {
  const { dtype, shape: first } = source.info(experts[0]![0]!);
  for (const part of experts.flat()) {
    const { shape } = source.info(part);
    if (shape.join() === first.join() && (shape.length === 2 || (whole && shape.length === 3))) continue;
    throw invalid(`"${part}" has shape [${shape}], and does not fit the other matrices of ${name}`);
  }
  const [count, rows, ...width] = whole ? first : [experts.length, ...first];
  return { experts, whole, info: { dtype, shape: [count!, rows! * experts[0]!.length, ...width] } };
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
