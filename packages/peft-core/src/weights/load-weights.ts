import { collectGarbage, type Program } from '@graft/tf-graph';
import { GraftError } from '../errors.ts';
import type { BaseModel, TensorSource } from '../files.ts';
import { type ModelOutline, storedName } from '../outlines/outline.ts';
import { type BaseStorage, frozenParameters, NF4_TABLE } from './base-storage.ts';
import { nf4Table } from './quantise/nf4.ts';
import { type WeightGroup, weightGroups } from './stored-weights.ts';

/**
 * Reads a base model's weights into a program's variables, and quantises them if needed. With `withHead` also
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

/**
 * Writes groups of weights, whose names in the base model's files are `stored`. They are read, and quantised, a piece at a time into the
 * program's own memory: an embedding table may be most of a model.
 */
export async function writeGroups(
  program: Program,
  tensors: TensorSource,
  groups: WeightGroup[],
  stored: ReadonlyMap<string, string>,
): Promise<void> {
  await program.fill(
    groups.map(({ name, members, parts, write }) => ({
      names: parts.map(({ suffix }) => name + suffix),
      write: (values) =>
        write(
          tensors,
          members.map((member) => stored.get(member)!),
          values,
        ),
    })),
  );
  collectGarbage();
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
