import { collectGarbage, type Program, type TypedArray } from '@graft/tf-graph';
import { GraftError } from '../errors.ts';
import type { BaseModel, TensorSource } from '../files.ts';
import { type ModelOutline, storedName } from '../outlines/outline.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { type BaseStorage, frozenParameters, NF4_TABLE } from './base-storage.ts';
import { nf4Table } from './quantise/nf4.ts';
import { ScratchBuffer } from './scratch-buffer.ts';
import { type WeightGroup, weightGroups } from './stored-weights.ts';

/**
 * Reads a base model's weights into a program's variables, one tensor at a time, and quantises them if needed. With `withHead` also
 * reads a task's head, which a program without an adapter needs. `stacks` must be the stacks given at the declaration. Throws
 * `invalid_model`, which names the weights that do not fit, and `task_head_missing`.
 */
export async function loadWeights(
  program: Program,
  base: BaseModel,
  outline: ModelOutline,
  storage: BaseStorage,
  { withHead = false, stacks = [] }: { withHead?: boolean; stacks?: readonly string[][] } = {},
): Promise<void> {
  const stored = storedNames(base, outline, withHead);
  if (storage === 'nf4') await program.write([[NF4_TABLE.name, nf4Table()]]);
  await writeGroups(program, base.tensors, weightGroups(outline, storage, withHead, stacks), stored);
}

/** Writes groups of weights, whose names in the base model's files are `stored`, one at a time. */
export async function writeGroups(
  program: Program,
  tensors: TensorSource,
  groups: WeightGroup[],
  stored: ReadonlyMap<string, string>,
): Promise<void> {
  for (const list of bySize(groups)) {
    await writeList(program, tensors, list, stored);
    collectGarbage();
  }
}

/** Weights of at most this number of values share a buffer, whatever their sizes. */
const SMALL = 4 << 20;

/**
 * The groups by descending size, in lists whose weights have more than half of the size of the first. Each list gets its own buffer:
 * an embedding table is often a large part of a model, and a buffer of its size beside all weights would be the peak of a whole run.
 */
function bySize(groups: WeightGroup[]): WeightGroup[][] {
  const sizeOf = ({ parts }: WeightGroup) => parts.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  const lists: WeightGroup[][] = [];
  let largest = 0;
  for (const group of [...groups].sort((a, b) => sizeOf(b) - sizeOf(a))) {
    const size = sizeOf(group);
    if (lists.length === 0 || (largest > SMALL && size <= largest / 2)) {
      largest = size;
      lists.push([]);
    }
    lists.at(-1)!.push(group);
  }
  return lists;
}

/** The names of the weights in the base model's files. Checks that each has the shape given by config.json. */
export function storedNames(base: BaseModel, outline: ModelOutline, withHead: boolean): Map<string, string> {
  const frozen = frozenParameters(outline, withHead);
  const stored = new Map<string, string>();
  const absent: typeof frozen = [];
  for (const parameter of frozen) {
    const name = storedName(outline, parameter.name, base.tensors);
    if (name === undefined) absent.push(parameter);
    else stored.set(parameter.name, name);
  }
  const head = absent.find(({ fresh }) => fresh !== undefined);
  if (head) {
    throw new GraftError(
      'task_head_missing',
      `the base model has no ${head.name}: for ${outline.task} it needs an adapter that brings one`,
      { param: 'model' },
    );
  }
  if (absent.length > 0) {
    const names = absent.slice(0, 5).map(({ name }) => name);
    const more = absent.length > 5 ? ` and ${absent.length - 5} more` : '';
    throw new GraftError('invalid_model', `the base model lacks ${names.join(', ')}${more}`, {
      param: 'model',
    });
  }
  for (const { name, shape } of frozen) {
    const found = base.tensors.info(stored.get(name)!).shape;
    if (found.join() !== shape.join()) {
      throw new GraftError('invalid_model', `${name} has shape [${found}], config.json says [${shape}]`, {
        param: 'model',
      });
    }
  }
  return stored;
}

/** A separate function, so that V8 can free its buffers when it returns: it keeps them while the function runs. */
async function writeList(
  program: Program,
  tensors: TensorSource,
  groups: WeightGroup[],
  stored: ReadonlyMap<string, string>,
): Promise<void> {
  await program.write(values());

  async function* values(): AsyncGenerator<[string, TypedArray]> {
    const scratch = new ScratchBuffer();
    for (const { name, members, parts, pack } of groups) {
      const packed = await pack(
        tensors,
        members.map((member) => stored.get(member)!),
        scratch,
      );
      for (const [i, { suffix }] of parts.entries()) yield [name + suffix, packed[i]!];
    }
  }
}
