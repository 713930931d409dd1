import type { Program, ProgramBuilder, Variable } from '@graft/tf-graph';
import type { BaseModel } from '../files.ts';
import type { FrozenWeight } from '../nn/weight.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import { type BaseStorage, NF4_TABLE } from './base-storage.ts';
import { storedNames, writeGroups } from './load-weights.ts';
import { nf4Table } from './quantise/nf4.ts';
import { type WeightGroup, weightGroups } from './stored-weights.ts';

/**
 * A base model's frozen weights in one program, shared by architectures for several tasks, whose names of a weight may differ by the bare
 * model's prefix. A weight is loaded when the first architecture needs it.
 */
export class SharedWeights {
  readonly #builder: ProgramBuilder;
  readonly #program: Program;
  readonly #base: BaseModel;
  readonly #storage: BaseStorage;
  /** By name in the base model's files. */
  readonly #loaded = new Map<string, FrozenWeight>();
  #table: Variable | null = null;

  constructor(builder: ProgramBuilder, program: Program, base: BaseModel, storage: BaseStorage) {
    this.#builder = builder;
    this.#program = program;
    this.#base = base;
    this.#storage = storage;
  }

  /** The weights of an architecture, by its own names; `withHead`: also those of its task's head. Throws what `loadWeights` throws. */
  async of(outline: ModelOutline, withHead: boolean): Promise<Map<string, FrozenWeight>> {
    const stored = storedNames(this.#base, outline, withHead);
    const groups = weightGroups(outline, this.#storage, withHead, []).map((group) => {
      const file = stored.get(group.members[0]!)!;
      return { group: { ...group, name: file }, file };
    });
    const absent = groups.filter(({ file }) => !this.#loaded.has(file));
    if (absent.length > 0) await this.#load(absent, stored);
    return new Map(groups.map(({ group, file }) => [group.members[0]!, this.#loaded.get(file)!]));
  }

  async #load(
    absent: readonly { group: WeightGroup; file: string }[],
    stored: ReadonlyMap<string, string>,
  ): Promise<void> {
    const withTable = this.#storage === 'nf4' && this.#table === null;
    if (withTable) this.#table = this.#builder.variable({ ...NF4_TABLE, dtype: 'float32' });
    const declared = absent.map(({ group, file }) => {
      const variables = group.parts.map(({ suffix, shape, dtype }) =>
        this.#builder.variable({ name: group.name + suffix, shape, dtype }),
      );
      return { file, weight: group.weights(variables, this.#table)[0]! };
    });
    this.#builder.extend(this.#program);
    const all = absent.map(({ group }) => group);
    if (withTable) await this.#program.write([[NF4_TABLE.name, nf4Table()]]);
    await writeGroups(this.#program, this.#base.tensors, all, stored);
    for (const { file, weight } of declared) this.#loaded.set(file, weight);
  }
}
