// Prints the most memory in bytes that start values of one wide matrix need, beside what the process has: a separate process for each,
// because the allocator keeps what is freed.
import { Random } from '../../../random.ts';
import { elementCount } from '../../../tensors/tensor-source.ts';
import { attach } from '../../../tuners/registry.ts';
import { peakMemory, resetPeakMemory } from '../peak-memory.ts';
import { configWith, modelWith, wideModel } from './wide-layer.ts';

const init_lora_weights = process.argv[2]!;

function computeStart(model: typeof wideModel): void {
  const { parameters } = attach(configWith({ init_lora_weights }), model, 'trained');
  const first = parameters.find((parameter) => parameter.init.kind === 'base')?.init;
  if (first?.kind !== 'base') throw new Error('it starts from no weight');
  const { shape } = model.parameters.find(({ name }) => name === first.parameters[0])!;
  const weight = () => Float32Array.from({ length: elementCount(shape) }, (_, i) => Math.sin(12.9898 * i));
  const weights = first.quantised ? [weight(), weight()] : [weight()];
  first.make!(weights, () => new Float32Array(), new Random(1, 'test'));
}

// The first operations allocate some MB for the process.
computeStart(modelWith(64, 96));
resetPeakMemory();
const before = process.memoryUsage.rss();
computeStart(wideModel);
console.log(peakMemory() - before);
