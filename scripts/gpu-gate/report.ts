import type { Fault, Placement } from './placement.ts';
import type { NodeCount } from './testing/node-counts.ts';

export interface Found extends Placement {
  case: string;
  function: string;
}

/** Faults that are alike, most frequent first. */
export function faultsByKind(found: readonly Found[]): string[] {
  const groups = new Map<string, { count: number; example: string; places: Set<string> }>();
  for (const one of found)
    for (const { kind, op, text, node } of one.faults as Fault[]) {
      const key = `${kind}: ${op}: ${text}`;
      const group = groups.get(key) ?? { count: 0, example: `${one.case} › ${node}`, places: new Set() };
      group.count++;
      groups.set(key, { ...group, places: group.places.add(one.case) });
    }
  return [...groups]
    .sort(([, a], [, b]) => b.count - a.count)
    .map(([key, { count, example, places }]) => `${count} × ${key} (${places.size} cases; ${example})`);
}

/** A row for each kind of step, in markdown: nodes as traced, and in brackets those that launch something on the device. */
export function nodeTable(counts: readonly NodeCount[]): string {
  const rows = counts.map(({ family, storage, checkpointed, step, layer }) =>
    [family, storage, checkpointed ? 'yes' : 'no', cell(layer), cell(step)].join(' | '),
  );
  const head = ['model', 'base', 'checkpointed', 'a layer', 'a step of two layers'];
  return [head.join(' | '), head.map(() => '---').join(' | '), ...rows].map((row) => `| ${row} |`).join('\n');
}

const cell = ({ nodes, launches }: Pick<Placement, 'nodes' | 'launches'>) => `${nodes} (${launches})`;
