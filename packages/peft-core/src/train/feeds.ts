import type { FilledBatch } from '../text/index.ts';

/** Feeds of a batch whose losses are summed and divided by `labels`. */
export function feedsOf(batch: FilledBatch, labels: number) {
  return {
    ids: batch.ids,
    positions: batch.positions,
    segments: batch.segments,
    label_positions: batch.labelPositions,
    label_ids: batch.labelIds,
    label_scales: batch.labelWeights.map((w) => w / labels),
  };
}
