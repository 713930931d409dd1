import { ProgramBuilder, tf, type Variable } from '@graft/tf-graph';
import type { PeftConfig } from '../../config/index.ts';
import type { Architecture } from '../../models/architecture.ts';
import { withComputation } from '../../nn/computation.ts';
import { attentionOf } from '../../outlines/outline.ts';
import { attachAdapter } from '../../peft-model/peft-model.ts';
import type { BaseStorage } from '../../weights/base-storage.ts';
import { declareWeights } from '../../weights/stored-weights.ts';
import type { AnsweringModel, GenerationProgram } from '../answering-program.ts';
import { RESERVED } from '../block-pool.ts';
import { declareStates } from '../states/recurrent-states.ts';
import type { CacheAccess, ServingLimits } from '../step.ts';
import type { CardBudget } from './card-budget.ts';
import { clear, declareCardCaches, rowsOfPlaces } from './card-cache.ts';
import { cardFunctions, PART, PROMPT_POSITIONS } from './card-functions.ts';
import { KeptLogits } from './kept-logits.ts';
import { bytesOfLane, LaneArena } from './lane-arena.ts';

/** Number of positions of a prompt that a step computes for a model with recurrent layers. */
const STATE_PIECE = 4 * PART;

/** A program for a GPU. Unless weights are stored in float32, products, keys and values are bfloat16. */
export function buildCardProgram(
  architecture: Architecture,
  given: ServingLimits,
  storage: BaseStorage,
  budget: CardBudget,
): GenerationProgram {
  const limits = { ...given, rows: budget.sequences };
  const precision = storage === 'float32' ? 'fp32' : 'bf16';
  const dtype = precision === 'fp32' ? 'float32' : 'bfloat16';
  const builder = new ProgramBuilder();
  const weights = declareWeights(builder, architecture, storage, true);
  const blocks = RESERVED.count + budget.blocks;
  const caches = declareCardCaches(builder, architecture, blocks, dtype);
  const states = declareStates(builder, architecture, limits.rows);
  const empty = builder.function('empty', {}, () => {
    const variables = [...caches.values(), ...states.values()].flatMap((layer) => Object.values(layer));
    for (const variable of variables) clear(variable as Variable);
    return {};
  });
  const cache: CacheAccess = {
    trace: (body) => withComputation({ implementation: 'stock', precision, rowByRow: false }, body),
    writeAt(places) {
      return (layer, keys, values) => {
        const { kvHeads, headSize } = attentionOf(architecture, layer);
        const rows = rowsOfPlaces(places, kvHeads);
        const byHead = (x: tf.Tensor) => tf.reshape(x, [-1, headSize]);
        caches.get(layer)!.keys.assignRows(rows, byHead(keys));
        caches.get(layer)!.values.assignRows(rows, byHead(values));
      };
    },
  };
  const program = builder.build();
  const kept = new KeptLogits(builder, program, architecture.vocabularySize);
  let attached = 0;
  function attach(peft: PeftConfig | null, arena: LaneArena | null): AnsweringModel {
    const name = `adapter.${attached++}`;
    const model = attachAdapter(builder, architecture, weights, peft, { form: 'folded', name });
    builder.extend(program);
    return {
      model,
      ...cardFunctions({ builder, program, name, model, limits, cache, caches, states, arena, kept }),
      async write(values) {
        if (model.adapter) await program.write([[model.adapter.name, values]]);
      },
    };
  }
  return {
    program,
    blocks,
    rows: limits.rows,
    states: architecture.recurrence ? { sequences: limits.rows, piece: STATE_PIECE } : null,
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
