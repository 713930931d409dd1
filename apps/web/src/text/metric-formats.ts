import type { Wire } from '@graft/client';
import { bytes, compact, measure, percent } from './numbers.ts';

export const metricFormats: Record<Wire.FineTuningMetric['unit'], (value: number) => string> = {
  share: percent,
  number: measure,
  per_second: compact,
  bytes,
};
