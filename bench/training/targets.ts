import type { Comparison, SideFigures } from './report.ts';
import type { Precision, SideName } from './sides.ts';

/** What Graft is to reach against a rival: times its speed at least, and that share of its peak memory at most. */
export interface Target {
  workload: string;
  precision: Precision;
  rival: SideName;
  speed: number | null;
  memory: number | null;
}

const against = (
  workload: string,
  precision: Precision,
  speed: number | null,
  memory: number | null = precision === 'bf16' ? 0.5 : 0.62,
  rival: SideName = 'peft',
): Target => ({ workload, precision, rival, speed, memory });

export const targets: Target[] = [
  against('demo', 'bf16', 3.5),
  against('demo-all', 'bf16', 3.5),
  against('long-prompt', 'bf16', 12),
  against('mixed', 'bf16', 2.3),
  against('synthetic', 'bf16', 1.8),
  against('synthetic', 'fp32', 2.6),
  against('demo', 'fp32', null),
  against('mixed', 'bf16', 1.5, null, 'expert'),
];

/** A target held against what was measured. */
export interface Verdict extends Target {
  measured: { speed: number; memory: number };
  holds: boolean;
}

/** Those whose workload, precision and rival were measured. */
export function verdictsOn(comparisons: readonly Comparison[]): Verdict[] {
  return targets.flatMap((target) => {
    const comparison = comparisons.find(
      ({ workload, precision }) => workload === target.workload && precision === target.precision,
    );
    const [graft, ...rivals] = (comparison?.sides ?? []) as [SideFigures, ...SideFigures[]];
    const rival = rivals.find(({ name }) => name === target.rival);
    if (!rival) return [];
    const measured = { speed: rival.speedup.median, memory: graft.peakBytes / rival.peakBytes };
    const holds = measured.speed >= (target.speed ?? 0) && measured.memory <= (target.memory ?? 1 / 0);
    return [{ ...target, measured, holds }];
  });
}

/** A line for each. */
export function tellVerdicts(verdicts: readonly Verdict[]): string {
  return verdicts
    .map(({ workload, precision, rival, speed, memory, measured, holds }) => {
      const parts = [
        speed === null ? null : `${measured.speed.toFixed(2)}× its speed, to be ${speed}×`,
        memory === null ? null : `${measured.memory.toFixed(2)}× its memory, to be ${memory}×`,
      ];
      const told = parts.filter((part) => part !== null).join('; ');
      return `${holds ? '✔' : '✖'} ${workload}, ${precision}, against ${rival}: ${told}`;
    })
    .join('\n');
}
