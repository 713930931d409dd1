import type { UsageResult } from '@graft/client';
import type { Paint } from './paint.ts';
import { bytes, count, duration } from './quantities.ts';
import { type Columns, tableOf } from './table.ts';

type Row = UsageResult & { start_time: number };

export function usageTable(results: Row[], groups: (keyof UsageResult)[], paint: Paint): string {
  const groupColumns = groups.map((group) => [
    group.toUpperCase().replaceAll('_', ' '),
    (row: Row) => String(row[group] ?? '-'),
  ]);
  const columns: Columns<Row> = {
    DAY: (row) => new Date(row.start_time * 1000).toISOString().slice(0, 10),
    ...Object.fromEntries(groupColumns),
    TRAINED: (row) => count(row.trained_tokens),
    DEVICE: (row) => duration(row.device_seconds),
    REQUESTS: (row) => count(row.num_model_requests),
    INPUT: (row) => count(row.input_tokens),
    OUTPUT: (row) => count(row.output_tokens),
    STORED: (row) => bytes(row.stored_bytes),
    COST: (row) => row.cost.toFixed(4),
  };
  return tableOf(results, columns, paint, 'No usage in this period.');
}
