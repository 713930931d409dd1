import { ProgramBuilder, tf, usesGraftKernels } from '@graft/tf-graph';
import type { PeftConfig } from '../config/index.ts';
import type { Architecture } from '../models/architecture.ts';
import { graphTarget } from '../nn/computation.ts';
import { attentionOf, keysAndValuesWidth, layersOf } from '../outlines/outline.ts';
import { attachAdapter } from '../peft-model/peft-model.ts';
import type { BaseStorage } from '../weights/base-storage.ts';
import { declareWeights } from '../weights/stored-weights.ts';
import type { AnsweringModel, GenerationProgram } from './answering-program.ts';
import { AdapterArena } from './arenas/adapter-arena.ts';
import { BLOCK, RESERVED } from './block-pool.ts';
import { cardBudget } from './card/card-budget.ts';
import { buildCardProgram } from './card/card-program.ts';
import { gridFunctions } from './grid-functions.ts';
import { listFunctions } from './list-functions.ts';
import { declareStates, sequencesWithState } from './states/recurrent-states.ts';
import { type CacheAccess, type ServingLimits, traceForServing } from './step.ts';

/**
 * Maximum number of prompt positions in a step: more would delay the answers in progress. Of 32, 64, 96 and 128, this value gave the
 * most tokens per second and the earliest first tokens in bench:serving.
 */
const PROMPT_POSITIONS = 96;

/**
 * Number of positions of a prompt that a step computes for a model with recurrent layers: fixed, so that other sequences do not affect
 * where a prompt is cut.
 */
const STATE_PIECE = 64;

/** The base is stored as `storage`. */
export function buildGenerationProgram(
  architecture: Architecture,
  limits: ServingLimits,
  storage: BaseStorage = 'float32',
): GenerationProgram {
  if (graphTarget() === 'cpu') return buildForProcessor(architecture, limits, storage);
  return buildCardProgram(architecture, limits, storage, cardBudget(architecture, limits, storage));
}

function buildForProcessor(
  architecture: Architecture,
  given: ServingLimits,
  storage: BaseStorage,
): GenerationProgram {
  const recurs = architecture.recurrence !== undefined;
  const limits = { ...given, rows: sequencesWithState(architecture, given) };
  const builder = new ProgramBuilder();
  const weights = declareWeights(builder, architecture, storage, true);
  const blocks = cacheBlocks(architecture, limits);
  const caches = new Map(
    layersOf(architecture).attending.map((layer) => {
      const { kvHeads, headSize } = attentionOf(architecture, layer);
      const shape = [blocks * BLOCK, 2 * kvHeads * headSize];
      return [layer, builder.variable({ name: `cache.${layer}`, shape })];
    }),
  );
  const states = declareStates(builder, architecture, limits.rows);
  const kept = [...caches.values(), ...[...states.values()].flatMap(({ state, inputs }) => [state, inputs])];
  const cache: CacheAccess = {
    trace: (body) => traceForServing(limits, body),
    writeAt: (places) => (layer, keys, values) =>
      caches.get(layer)!.assignRows(places, tf.concat([keys, values], 1)),
  };
  const program = builder.build();
  const usesLists = usesGraftKernels() && !architecture.encoder && !recurs;
  let attached = 0;
  function attach(peft: PeftConfig | null, arena: AdapterArena | null): AnsweringModel {
    const name = `adapter.${attached++}`;
    const model = attachAdapter(builder, architecture, weights, peft, { form: 'folded', name });
    builder.extend(program);
    const parts = { builder, program, name, model, limits, cache, caches, states, arena };
    return {
      model,
      ...(usesLists ? listFunctions(parts) : gridFunctions(parts)),
      async write(values) {
        if (model.adapter) await program.write([[model.adapter.name, values]]);
      },
    };
  }
  return {
    program,
    blocks,
    rows: limits.rows,
    states: recurs ? { sequences: limits.rows, piece: STATE_PIECE } : null,
    promptPositions: PROMPT_POSITIONS,
    clear: () => program.fill(kept.map(({ name }) => ({ names: [name] }))),
    attach: (peft) => attach(peft, null),
    async shared() {
      if (!usesLists) return null;
      const arena = new AdapterArena(builder, program, architecture, limits.updateBytes / 4);
      await arena.clear(program);
      return { arena, model: attach(null, arena) };
    },
  };
}

/** Number of blocks that fit in memory: at least a whole context and its input, and at most what all sequences can use. */
function cacheBlocks(architecture: Architecture, limits: ServingLimits): number {
  const inSequence = Math.ceil(limits.context / BLOCK) * (architecture.encoder ? 2 : 1);
  const bytes = BLOCK * keysAndValuesWidth(architecture) * 4;
  const affordable = bytes === 0 ? Number.POSITIVE_INFINITY : Math.floor(limits.cacheBytes / bytes);
  return RESERVED.count + Math.max(inSequence, Math.min(affordable, inSequence * limits.rows));
}
