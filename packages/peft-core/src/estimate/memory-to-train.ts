import { parsePeftConfig } from '../config/index.ts';
import { resolveTraining } from '../config/resolve-training.ts';
import { defaultPeft } from '../tuners/methods.ts';
import type { DataSample, Machine } from './estimate.ts';
import { estimateTraining } from './estimate-training.ts';

/**
 * Peak memory in bytes of training a model on one text of `tokens` tokens at a time: the default configuration, bfloat16 products, gradient
 * checkpointing. For tables and reports; a job has its own estimate. Throws GraftErrors of the model's outline.
 */
export function memoryToTrain(
  modelConfig: Record<string, unknown>,
  { tokens, storage, device }: { tokens: number; storage: 'bf16' | 'nf4'; device: Machine['device'] },
): number {
  const peft = parsePeftConfig(defaultPeft);
  const training = resolveTraining({
    peft,
    training: { max_seq_length: tokens, batch_size: 1, base_dtype: storage, gradient_checkpointing: true },
    exampleCount: 1,
    format: 'text',
  });
  const size = { widths: [tokens], inputWidth: 0, labels: tokens, tokens };
  const data: DataSample = {
    format: 'text',
    labels: null,
    training: { examples: 1, sizes: [size] },
    validation: null,
  };
  const machine: Machine = { device, precision: 'bf16', threads: 2, kernels: device === 'cpu', flops: null };
  return estimateTraining({ modelConfig, peft, training, data }, machine).peakMemoryBytes;
}
