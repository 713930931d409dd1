import type { AdapterVersion } from '@graft/client';
import { count, measure } from '../../text/numbers.ts';

/** Losses of the trained model, of its files loaded again in a fresh process, and of the base alone. */
export interface Proof {
  live_loss: number;
  reloaded_loss: number;
  base_loss: number;
  /** Of an adapter that was trained on a quantised base: its loss on the one as it is served, of which `base_loss` is then, too. */
  served_loss?: number;
  examples: number;
  measured_on: 'validation' | 'training';
}

/** What a version that was trained here tells of its training, as far as it does. */
export interface VersionMetrics {
  steps?: number;
  final_loss?: number | null;
  validation_loss?: number | null;
  peak_memory_bytes?: number | null;
  parameters?: { trainable: number; total: number };
  proof?: Proof | null;
}

export const versionMetrics = (version: Pick<AdapterVersion, 'metrics'> | null): VersionMetrics | null =>
  version?.metrics ?? null;

export function proofInWords({
  live_loss,
  reloaded_loss,
  base_loss,
  served_loss,
  examples,
  measured_on,
}: Proof): string {
  const where =
    measured_on === 'validation' ? 'examples that it was not trained on' : 'of its training examples';
  const loss = served_loss ?? reloaded_loss;
  const change = base_loss === 0 ? 0 : (loss - base_loss) / base_loss;
  const amount = `${measure(Math.abs(change) * 100)} %`;
  return [
    `On ${count(examples)} ${where} the base model has a loss of ${measure(base_loss)}, and with this adapter ${measure(loss)}: ${amount} ${change < 0 ? 'less' : 'more'}.`,
    served_loss === undefined
      ? `That was measured with its files, loaded again in a fresh process, where they did as the trained model had (${measure(live_loss)}).`
      : `That was measured with its files, loaded again in a fresh process, on the base as it is served; on the quantised one of training they did as the trained model had (${measure(live_loss)}).`,
  ].join(' ');
}
