import { count, measure } from '../../text/numbers.ts';

/** Losses of the trained model, of its files loaded in a new process, and of the base model. */
export interface Proof {
  live_loss: number;
  reloaded_loss: number;
  base_loss: number;
  /** For an adapter trained on a quantized base: the loss on the base as served, to which `base_loss` then refers too. */
  served_loss?: number;
  examples: number;
  measured_on: 'validation' | 'training';
}

/** Training metrics of a version, as far as it has them. */
export interface VersionMetrics {
  steps?: number;
  final_loss?: number | null;
  validation_loss?: number | null;
  peak_memory_bytes?: number | null;
  parameters?: { trainable: number; total: number };
  proof?: Proof | null;
}

export function describeProof({
  live_loss,
  reloaded_loss,
  base_loss,
  served_loss,
  examples,
  measured_on,
}: Proof): string {
  const examplesText = measured_on === 'validation' ? 'validation examples' : 'training examples';
  const loss = served_loss ?? reloaded_loss;
  const change = base_loss === 0 ? 0 : (loss - base_loss) / base_loss;
  const amount = `${measure(Math.abs(change) * 100)} %`;
  return [
    `On ${count(examples)} ${examplesText}, the loss is ${measure(base_loss)} for the base model and ${measure(loss)} with this adapter: ${amount} ${change < 0 ? 'lower' : 'higher'}.`,
    served_loss === undefined
      ? `Measured with the adapter's files in a new process, where the loss matches the trained model's (${measure(live_loss)}).`
      : `Measured with the adapter's files in a new process, on the base model as served. On the quantized base of training, the loss matches the trained model's (${measure(live_loss)}).`,
  ].join(' ');
}
