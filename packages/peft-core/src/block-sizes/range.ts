/** A range of indices of an axis: from `from`, inclusive, to `to`, exclusive. */
export interface Range {
  from: number;
  to: number;
}

export const length = ({ from, to }: Range): number => to - from;

/** The range of a whole axis. */
export const all = (size: number): Range => ({ from: 0, to: size });
