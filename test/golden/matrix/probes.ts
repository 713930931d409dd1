import type { TaskType } from '@graft/peft-core/outlines';

/** Inputs that models are compared on: token ids, and for an encoder-decoder the labels that follow. */
export type Probe = number[] | { input_ids: number[]; labels: number[] };

const sequences = [
  [5, 6, 7, 30, 31, 32, 90, 200, 201, 17],
  Array.from({ length: 64 }, (_, i) => 4 + ((i * 37) % 300)),
];

export function probesFor(task: TaskType): Probe[] {
  if (task !== 'SEQ_2_SEQ_LM') return sequences;
  return sequences.map((ids) => ({ input_ids: ids, labels: [...ids].reverse().slice(3) }));
}
