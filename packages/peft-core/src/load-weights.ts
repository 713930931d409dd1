import type { Program } from '@graft/tf-graph';
import { GraftError } from './errors.ts';
import type { BaseModel } from './formats/index.ts';
import type { Architecture } from './models/architecture.ts';

/** Streams a base model's weights into a program's variables, one tensor at a time. Throws `invalid_model` naming what does not fit. */
export async function loadWeights(
  program: Program,
  base: BaseModel,
  architecture: Architecture,
  storage: 'float32' | 'bfloat16',
): Promise<void> {
  const present = new Set(base.tensors.names());
  const missing = architecture.parameters.filter((p) => !present.has(p.name)).map((p) => p.name);
  if (missing.length > 0) {
    const more = missing.length > 5 ? ` and ${missing.length - 5} more` : '';
    throw new GraftError('invalid_model', `the base model lacks ${missing.slice(0, 5).join(', ')}${more}`, {
      param: 'model',
    });
  }
  for (const { name, shape } of architecture.parameters) {
    const found = base.tensors.info(name).shape;
    if (found.join() !== shape.join()) {
      throw new GraftError('invalid_model', `${name} has shape [${found}], config.json says [${shape}]`, {
        param: 'model',
      });
    }
  }
  await program.write(values());

  async function* values(): AsyncGenerator<[string, Float32Array | Uint16Array]> {
    for (const { name, shape } of architecture.parameters) {
      const narrow = storage === 'bfloat16' && shape.length > 1;
      yield [name, narrow ? await base.tensors.readBfloat16(name) : await base.tensors.readFloat32(name)];
    }
  }
}
