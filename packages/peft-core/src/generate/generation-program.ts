import { type Program, ProgramBuilder, tf, usesGraftKernels } from '@graft/tf-graph';
import type { PeftConfig } from '../config/index.ts';
import type { Architecture } from '../models/architecture.ts';
import { adapterTensors, attachAdapter, type PeftModel } from '../peft-model/peft-model.ts';
import { declareWeights } from '../weights/stored-weights.ts';
import { AdapterArena } from './adapter-arena.ts';
import { BLOCK, RESERVED } from './block-pool.ts';
import { gridFunctions } from './grid-functions.ts';
import { listFunctions } from './list-functions.ts';
import { asServed, type FunctionParts, type ModelFunctions, rowsOf, type ServingLimits } from './step.ts';

/** One model of the program. */
export interface AnsweringModel extends ModelFunctions {
  model: PeftModel;
  /** Sets the adapter's values. */
  write(values: Float32Array): Promise<void>;
}

/** A base model and the cache of its sequences. Adapters are attached while it stays loaded, and share both. */
export interface GenerationProgram {
  program: Program;
  /** Blocks of the cache. */
  blocks: number;
  /** Sequences of a step. */
  rows: number;
  /** The plain base model, or an adapter of this config on it; its values still have to be written. */
  attach(peft: PeftConfig | null): AnsweringModel;
  /** The plain base model with an update of its own for each row; null where that cannot be computed. */
  shared(): Promise<{ model: AnsweringModel; arena: AdapterArena } | null>;
  /** Empties the cache; once before the first run. */
  clear(): void;
}

export function buildGenerationProgram(architecture: Architecture, limits: ServingLimits): GenerationProgram {
  const builder = new ProgramBuilder();
  const weights = declareWeights(builder, architecture, 'float32', true);
  const width = 2 * architecture.kvHeads * architecture.headSize;
  const blocks = cacheBlocks(architecture, limits);
  const caches = Array.from({ length: architecture.layers }, (_, layer) =>
    builder.variable({ name: `cache.${layer}`, shape: [blocks * BLOCK, width] }),
  );
  const empty = builder.function('empty', {}, () => {
    for (const cache of caches) cache.assign(tf.zeros(cache.shape));
    return {};
  });
  const program = builder.build();
  const usesLists = usesGraftKernels() && !architecture.encoder;
  let attached = 0;
  function attach(peft: PeftConfig | null, arena: AdapterArena | null): AnsweringModel {
    const name = `adapter.${attached++}`;
    const model = attachAdapter(builder, architecture, weights, peft, { form: 'folded', name });
    builder.extend(program);
    const parts = { builder, program, name, model, caches, limits, arena };
    return {
      model,
      ...(usesLists ? listFunctions(parts) : gridFunctions(parts)),
      async write(values) {
        if (model.adapter) await program.write([[model.adapter.name, values]]);
      },
      prime: primeOf(parts),
    };
  }
  return {
    program,
    blocks,
    rows: limits.rows,
    clear: () => void program.run(empty, {}),
    attach: (peft) => attach(peft, null),
    async shared() {
      if (!usesLists) return null;
      const arena = new AdapterArena(builder, program, architecture, limits.updateBytes / 4);
      await arena.clear(program);
      return { arena, model: attach(null, arena) };
    },
  };
}

/** As many as the memory holds: a whole context and its input at least, and no more than all sequences can use. */
function cacheBlocks({ layers, kvHeads, headSize, encoder }: Architecture, limits: ServingLimits): number {
  const inSequence = Math.ceil(limits.context / BLOCK) * (encoder ? 2 : 1);
  const bytes = layers * BLOCK * 2 * kvHeads * headSize * 4;
  const affordable = Math.floor(limits.cacheBytes / bytes);
  return RESERVED.count + Math.max(inSequence, Math.min(affordable, inSequence * limits.rows));
}

/** The prefix of every layer goes where the keys and values of the first tokens would be. */
function primeOf({ builder, program, name, model, caches }: FunctionParts): ModelFunctions['prime'] {
  const length = model.attachment?.prefixLength ?? 0;
  const rows = { shape: [length], dtype: 'int32' } as const;
  const primeFor = builder.onDemand(program, () =>
    builder.function(`${name}/prime`, { rows }, ({ rows }) =>
      asServed(() => {
        const parameters = adapterTensors(model);
        for (const [layer, cache] of caches.entries()) {
          const { keys, values } = model.prefix({ layer }, parameters)!;
          const flat = (x: tf.Tensor) => tf.reshape(tf.transpose(x, [1, 0, 2]), [length, -1]);
          cache.assignRows(rows, tf.concat([flat(keys), flat(values)], 1));
        }
        return {};
      }),
    ),
  );
  return (blocks) => {
    if (length > 0) program.run(primeFor(), { rows: Int32Array.from(rowsOf(blocks, length)) });
  };
}
