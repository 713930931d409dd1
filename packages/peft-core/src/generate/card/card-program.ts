import { type Program, ProgramBuilder, tf } from '@graft/tf-graph';
import type { PeftConfig } from '../../config/index.ts';
import type { Architecture } from '../../models/architecture.ts';
import { withComputation } from '../../nn/computation.ts';
import { adapterTensors, attachAdapter, type PeftModel } from '../../peft-model/peft-model.ts';
import type { BaseStorage } from '../../weights/base-storage.ts';
import { declareWeights } from '../../weights/stored-weights.ts';
import type { AnsweringModel, GenerationProgram } from '../answering-program.ts';
import { RESERVED } from '../block-pool.ts';
import { type ModelFunctions, rowsOf, type ServingLimits } from '../step.ts';
import type { CardBudget } from './card-budget.ts';
import { clear, declareCardCaches, rowsOfPlaces } from './card-cache.ts';
import { type CardParts, cardFunctions, PROMPT_POSITIONS } from './card-functions.ts';
import { KeptLogits } from './kept-logits.ts';
import { bytesOfLane, LaneArena } from './lane-arena.ts';

/** A program for a GPU. Unless weights are stored in float32, products, keys and values are bfloat16. */
export function buildCardProgram(
  architecture: Architecture,
  limits: ServingLimits,
  storage: BaseStorage,
  budget: CardBudget,
): GenerationProgram {
  const precision = storage === 'float32' ? 'fp32' : 'bf16';
  const dtype = precision === 'fp32' ? 'float32' : 'bfloat16';
  const builder = new ProgramBuilder();
  const weights = declareWeights(builder, architecture, storage, true);
  const blocks = RESERVED.count + budget.blocks;
  const caches = declareCardCaches(builder, architecture, blocks, dtype);
  const empty = builder.function('empty', {}, () => {
    for (const { keys, values } of caches) for (const variable of [keys, values]) clear(variable);
    return {};
  });
  const program = builder.build();
  const kept = new KeptLogits(builder, program, architecture.vocabularySize);
  let attached = 0;
  function attach(peft: PeftConfig | null, arena: LaneArena | null): AnsweringModel {
    const name = `adapter.${attached++}`;
    const model = attachAdapter(builder, architecture, weights, peft, { form: 'folded', name });
    builder.extend(program);
    const parts = { builder, program, name, model, caches, limits, precision, arena, kept } as const;
    return { model, write: writerOf(program, model), ...cardFunctions(parts), prime: primeOf(parts) };
  }
  return {
    program,
    blocks,
    rows: limits.rows,
    promptPositions: PROMPT_POSITIONS,
    clear: () => void program.run(empty, {}),
    attach: (peft) => attach(peft, null),
    async shared() {
      if (architecture.encoder || budget.updateBytes < bytesOfLane(architecture, dtype)) return null;
      const arena = new LaneArena(builder, program, architecture, { bytes: budget.updateBytes, dtype });
      return { arena, model: attach(null, arena) };
    },
  };
}

const writerOf =
  (program: Program, { adapter }: PeftModel): AnsweringModel['write'] =>
  async (values) => {
    if (adapter) await program.write([[adapter.name, values]]);
  };

/** Writes the prefix of every layer to the cache positions of the first tokens. */
function primeOf({ builder, program, name, model, caches, precision }: CardParts): ModelFunctions['prime'] {
  const { kvHeads, headSize } = model.architecture;
  const length = model.attachment?.prefixLength ?? 0;
  const inputs = { places: { shape: [length], dtype: 'int32' } as const };
  const primeFor = builder.onDemand(program, () =>
    builder.function(`${name}/prime`, inputs, ({ places }) =>
      withComputation({ implementation: 'stock', precision, rowByRow: false }, () => {
        const parameters = adapterTensors(model);
        const rows = rowsOfPlaces(places, kvHeads);
        for (const [layer, cache] of caches.entries()) {
          const { keys, values } = model.prefix({ layer }, parameters)!;
          const flat = (x: tf.Tensor) => tf.reshape(tf.transpose(x, [1, 0, 2]), [-1, headSize]);
          cache.keys.assignRows(rows, flat(keys));
          cache.values.assignRows(rows, flat(values));
        }
        return {};
      }),
    ),
  );
  return (blocks) => {
    if (length > 0) program.run(primeFor(), { places: Int32Array.from(rowsOf(blocks, length)) });
  };
}
