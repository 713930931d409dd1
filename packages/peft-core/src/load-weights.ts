import type { Program } from '@graft/tf-graph';
import { GraftError } from './errors.ts';
import type { BaseModel } from './formats/index.ts';
import type { ModelOutline } from './outlines/outline.ts';
import { storedName } from './outlines/stored-name.ts';
import type { BaseStorage } from './stored-weights.ts';

/** Streams a base model's weights into a program's variables, one tensor at a time. Throws `invalid_model` naming what does not fit. */
export async function loadWeights(
  program: Program,
  base: BaseModel,
  outline: ModelOutline,
  storage: BaseStorage,
): Promise<void> {
  const present = new Set(base.tensors.names());
  const frozen = outline.parameters.filter(({ fresh }) => fresh === undefined);
  const stored = new Map(frozen.map(({ name }) => [name, storedName(outline, name, (n) => present.has(n))]));
  const missing = frozen.filter(({ name }) => stored.get(name) === undefined).map((p) => p.name);
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

  async function* values(): AsyncGenerator<[string, Float32Array | Uint16Array]> {
    for (const { name, shape } of frozen) {
      const source = stored.get(name)!;
      const narrow = storage === 'bfloat16' && shape.length > 1;
      yield [name, narrow ? await base.tensors.readBfloat16(source) : await base.tensors.readFloat32(source)];
    }
  }
}
