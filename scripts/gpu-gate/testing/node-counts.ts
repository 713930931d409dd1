/** How many nodes a step has, and how many of them each layer adds: what XLA and fewer, larger operations can win. */
import type { BaseStorage } from '../../../packages/peft-core/src/weights/base-storage.ts';
import { architectures } from '../../../test/golden/matrix/architectures.ts';
import { type Placement, placementOf } from '../placement.ts';
import { buildTraining, functionsOf, type TrainedCase } from './graphs.ts';

const [fewer, more] = [2, 4];
const everywhere = { peft_type: 'LORA', r: 8, target_modules: 'all-linear' };

export interface NodeCount {
  family: string;
  storage: BaseStorage;
  checkpointed: boolean;
  /** Counts of a step of two layers, and of each layer: nodes, and those that launch something on the device. */
  step: Pick<Placement, 'nodes' | 'launches'>;
  layer: Pick<Placement, 'nodes' | 'launches'>;
}

/** One architecture of each family, for the first task that it is listed with. */
const families = [
  ...new Map(architectures.toReversed().map((each) => [each.config.model_type, each])).values(),
].reverse();

export async function nodeCounts(): Promise<NodeCount[]> {
  const counts: NodeCount[] = [];
  for (const architecture of families)
    for (const storage of ['bfloat16', 'int8', 'nf4'] as const)
      for (const checkpointed of [false, true]) {
        const of = (layers: number) =>
          stepOf({
            architecture,
            peft: everywhere,
            storage,
            precision: 'bf16',
            layers,
            training: { gradient_checkpointing: checkpointed },
          });
        const [few, many] = [await of(fewer), await of(more)];
        const each = (of: 'nodes' | 'launches') => (many[of] - few[of]) / (more - fewer);
        counts.push({
          family: architecture.name,
          storage,
          checkpointed,
          step: few,
          layer: { nodes: each('nodes'), launches: each('launches') },
        });
      }
  return counts;
}

async function stepOf(one: TrainedCase): Promise<Placement> {
  const functions = await functionsOf({ name: 'counted', build: () => buildTraining(one) });
  return placementOf(functions.find(({ name }) => name === 'step')!);
}
