import type { JobEstimate } from '@graft/client';
import type { Paint } from './paint.ts';
import { bytes, count, duration } from './quantities.ts';
import { fields } from './table.ts';

export function estimateView(estimate: JobEstimate, paint: Paint): string {
  const { trainable_parameters: trainable, total_parameters: total, seconds } = estimate;
  const share = ((100 * trainable) / total).toPrecision(2);
  return fields(
    {
      parameters: `${count(trainable)} trainable of ${count(total)} (${share} %)`,
      memory: bytes(estimate.peak_memory_bytes),
      tokens: count(estimate.tokens),
      steps: count(estimate.steps),
      time: seconds === null ? 'unknown' : `about ${duration(seconds)}`,
      on: `${estimate.device}, ${estimate.precision}`,
      fits: whetherItFits(estimate),
      'would fit': estimate.changes.map(
        ({ training, peak_memory_bytes: peak }) => `with ${optionsOf(training)}: ${bytes(peak)}`,
      ),
      warning: estimate.warnings?.map(({ message }) => message),
    },
    paint,
  );
}

export function estimateLine({ peak_memory_bytes: peak, steps, tokens, seconds }: JobEstimate): string {
  const time = seconds === null ? '' : `, about ${duration(seconds)}`;
  return `${bytes(peak)} of memory, ${count(steps)} steps, ${count(tokens)} tokens${time}`;
}

function whetherItFits({ fits, memory_bytes: memory, workers, changes }: JobEstimate): string {
  if (workers === 0) return 'unknown: no worker that could run it is online';
  if (fits === null) return 'unknown: a worker does not report its memory';
  const most = memory === null ? '' : `: the largest worker has ${bytes(memory)}`;
  if (fits) return `yes${most}`;
  return `no${most}${changes.length === 0 ? ', and no training option would help' : ''}`;
}

function optionsOf(training: JobEstimate['changes'][number]['training']): string {
  return Object.entries(training)
    .map(([name, value]) => `${name} ${value}`)
    .join(', ');
}
