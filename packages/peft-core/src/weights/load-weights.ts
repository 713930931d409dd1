import type { Program, TypedArray } from '@graft/tf-graph';
import { GraftError } from '../errors.ts';
import type { BaseModel } from '../files.ts';
import { type ModelOutline, storedName } from '../outlines/outline.ts';
import { type BaseStorage, frozenParameters, NF4_TABLE } from './base-storage.ts';
import { nf4Table } from './quantise/nf4.ts';
import { Room } from './room.ts';
import { weightGroups } from './stored-weights.ts';

/**
 * Reads a base model's weights into a program's variables, one tensor at a time, quantised on the way. With `withHead` also
 * those of a task's head: a program without an adapter needs them. `stacks` are those that they were declared with. Throws `invalid_model` naming what does not fit, `task_head_missing`.
 */
export async function loadWeights(
  program: Program,
  base: BaseModel,
  outline: ModelOutline,
  storage: BaseStorage,
  { withHead = false, stacks = [] }: { withHead?: boolean; stacks?: readonly string[][] } = {},
): Promise<void> {
  const frozen = frozenParameters(outline, withHead);
  const stored = new Map(frozen.map(({ name }) => [name, storedName(outline, name, base.tensors)]));
  const absent = frozen.filter(({ name }) => stored.get(name) === undefined);
  const head = absent.find(({ fresh }) => fresh !== undefined);
  if (head) {
    throw new GraftError(
      'task_head_missing',
      `the base model has no ${head.name}: for ${outline.task} it needs an adapter that brings one`,
      { param: 'model' },
    );
  }
  const missing = absent.map(({ name }) => name);
  if (missing.length > 0) {
    const more = missing.length > 5 ? ` and ${missing.length - 5} more` : '';
    throw new GraftError('invalid_model', `the base model lacks ${missing.slice(0, 5).join(', ')}${more}`, {
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
  await program.write(values());

  async function* values(): AsyncGenerator<[string, TypedArray]> {
    if (storage === 'nf4') yield [NF4_TABLE.name, nf4Table()];
    const room = new Room();
    for (const { name, members, parts, pack } of weightGroups(outline, storage, withHead, stacks)) {
      const tensors = members.map((member) => stored.get(member)!);
      const values = await pack(base.tensors, tensors, room);
      for (const [i, { suffix }] of parts.entries()) yield [name + suffix, values[i]!];
    }
  }
}
