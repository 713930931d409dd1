import { liveMemory, recordFunctions } from '@graft/tf-graph';
import { type Allocations, tracedAllocations } from '@graft/tf-graph/testing';
import { peakMemory } from '../../../packages/peft-core/src/estimate/peak-memory.ts';
import {
  fillWithZeros,
  partsOfGraph,
  specOf,
  type TrainingGraph,
  zeroFeeds,
} from '../../../packages/peft-core/src/testing/training-graph.ts';
import { buildTrainProgram } from '../../../packages/peft-core/src/train/train-program.ts';
import type { CheckContext, Figures } from '../check.ts';
import { randomModels } from '../models.ts';

/** Ops of a placed graph that pass a value from one device to another. */
const COPIES = new Set(['_Send', '_Recv', '_HostSend', '_HostRecv']);
/** Copies of a step besides what it is fed and fetches: sizes and seeds. */
const MOST_COPIES = 16;

/** Where TensorFlow places the nodes of a step, what the step takes of the device, and what was said of that before. */
export async function placement({ device, precision, small }: CheckContext): Promise<Figures> {
  const [rows, tokens] = small ? [2, 32] : [4, 512];
  const graph: TrainingGraph = {
    config: randomModels[small ? 'small' : 'billion'],
    rows,
    tokens,
    precision,
    storage: 'bfloat16',
    training: { gradient_checkpointing: true },
  };
  const spec = specOf(graph);
  const built: ReturnType<typeof buildTrainProgram>[] = [];
  const recorded = await recordFunctions(async () => built.push(buildTrainProgram(spec)));
  const [trained] = built;
  const { update, program } = trained!;
  if (!('step' in update)) throw new Error('the step is not one function');
  const { step } = update;
  try {
    await fillWithZeros(trained!, spec);
    const feeds = zeroFeeds(step.inputs) as Parameters<typeof program.run>[1];
    const only = { device: device.kind === 'gpu' ? 'GPU' : '' };
    const [run] = await tracedAllocations(() => program.run(step, feeds as never), only);
    const walked = liveMemory(recorded.find(({ name }) => name === 'step')!);
    const crossing = Object.keys(feeds).length + 3;
    const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;
    return {
      ...placesOf(run!, device.kind, crossing),
      'a step takes': megabytes(run!.peak),
      'by the walk': megabytes(walked.peak),
      variables: megabytes(walked.variables),
      'all by the estimate': megabytes(peakMemory(partsOfGraph(graph, device.kind))),
    };
  } finally {
    program.close();
  }
}

/** Throws where a GPU leaves work to the processor. */
function placesOf({ placed }: Allocations, kind: 'cpu' | 'gpu', crossing: number): Figures {
  const copies = placed.filter(({ op }) => COPIES.has(op)).length;
  const onGpu = placed.filter(({ device }) => device.includes('GPU')).length;
  const onHost = placed.filter(({ device, op }) => !device.includes('GPU') && !COPIES.has(op));
  if (placed.length === 0) throw new Error('TensorFlow says nothing of where it placed the nodes');
  if (kind === 'gpu') {
    const ops = [...new Set(onHost.map(({ op }) => op))].join(', ');
    if (onHost.length > onGpu / 10) throw new Error(`${onHost.length} nodes run on the processor: ${ops}`);
    // Each is sent by one device and received by another.
    if (copies > 2 * (crossing + MOST_COPIES))
      throw new Error(
        `${copies / 2} values are copied between devices in a step that has ${crossing} inputs and outputs`,
      );
  }
  return { nodes: `${onGpu} on the GPU, ${onHost.length} on the processor`, copies: `${copies / 2}` };
}
