import { parsePeftConfig } from '../config/index.ts';
import { resolveTraining } from '../config/resolve-training.ts';
import type { ExampleSize } from '../examples/batches/example-size.ts';
import { formats } from '../examples/formats/formats.ts';
import { defaultTask, outlineOf, ownLabels, type TaskType } from '../outlines/index.ts';
import { defaultPeft } from '../tuners/methods.ts';
import type { DataSample, Machine } from './estimate.ts';
import { estimateTraining } from './estimate-training.ts';

/**
 * Peak memory in bytes of training a model for its default task on one example at a time, whose texts have `tokens` tokens, or as many
 * as the model has positions for: the default configuration, bfloat16 products, gradient checkpointing. For tables and reports; a job
 * has its own estimate. Throws GraftErrors of the model's outline.
 */
export function memoryToTrain(
  modelConfig: Record<string, unknown>,
  { tokens, storage, device }: { tokens: number; storage: 'bf16' | 'nf4'; device: Machine['device'] },
): number {
  const task = defaultTask(modelConfig);
  const length = Math.min(tokens, outlineOf(modelConfig, task).maxPositions);
  const { name: format } = formats.find(({ tasks }) => tasks.includes(task))!;
  const peft = parsePeftConfig({ ...defaultPeft, task_type: task });
  const training = resolveTraining({
    peft,
    training: { max_seq_length: length, batch_size: 1, base_dtype: storage, gradient_checkpointing: true },
    exampleCount: 1,
    format,
  });
  const data: DataSample = {
    format,
    labels: ownLabels(modelConfig, task),
    training: { examples: 1, sizes: [sizeFor(task, length)] },
    validation: null,
  };
  const machine: Machine = { device, precision: 'bf16', threads: 2, kernels: device === 'cpu', flops: null };
  return estimateTraining({ modelConfig, peft, training, data }, machine).peakMemoryBytes;
}

/** An example whose texts have `length` tokens, all of them targets where tokens can be. */
function sizeFor(task: TaskType, length: number): ExampleSize {
  const one = { widths: [length], inputWidth: 0, labels: length, tokens: length };
  const sizes: Record<TaskType, ExampleSize> = {
    CAUSAL_LM: one,
    TOKEN_CLS: one,
    SEQ_CLS: { widths: [length], inputWidth: 0, labels: 1, tokens: length },
    SEQ_2_SEQ_LM: { widths: [length], inputWidth: length, labels: length, tokens: 2 * length },
    FEATURE_EXTRACTION: { widths: [length, length], inputWidth: 0, labels: 1, tokens: 2 * length },
  };
  return sizes[task];
}
