import type { UsageResult } from '@graft/client';
import type { Paint } from './paint.ts';
import { bytes, count, duration } from './quantities.ts';
import { table } from './table.ts';

/** A table of usage by day and `groups`. */
export function usageTable(
  results: (UsageResult & { start_time: number })[],
  groups: (keyof UsageResult)[],
  paint: Paint,
): string {
  return table(
    [
      'DAY',
      ...groups.map((group) => group.toUpperCase().replaceAll('_', ' ')),
      'TRAINED',
      'DEVICE',
      'REQUESTS',
      'INPUT',
      'OUTPUT',
      'STORED',
      'COST',
    ],
    results.map((result) => [
      new Date(result.start_time * 1000).toISOString().slice(0, 10),
      ...groups.map((group) => String(result[group] ?? '-')),
      count(result.trained_tokens),
      duration(result.device_seconds),
      count(result.num_model_requests),
      count(result.input_tokens),
      count(result.output_tokens),
      bytes(result.stored_bytes),
      result.cost.toFixed(4),
    ]),
    paint,
    'No usage in this period.',
  );
}
