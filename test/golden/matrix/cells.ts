import { type ArchitectureRow, architectures } from './architectures.ts';
import { exceptions } from './exceptions.ts';
import { type MethodRow, methods } from './methods.ts';
import { ruleAgainst } from './rules.ts';

/** One architecture with one method. */
export interface Cell {
  /** `llama × lora`. */
  name: string;
  architecture: ArchitectureRow;
  method: MethodRow;
  /** Fields of PEFT's config, task_type included. */
  config: Record<string, unknown>;
  /** Of the adapter's first values: the cell's own, whatever GRAFT_MATRIX leaves of the others. */
  seed: number;
}

export const cellName = (architecture: ArchitectureRow, method: MethodRow): string =>
  `${architecture.name} × ${method.name}`;

/**
 * Every cell that can be. GRAFT_MATRIX narrows them: parts of names, with commas between; `lora$` is the end of one. Without it
 * GRAFT_MATRIX_HALF takes one of two halves, `0` or `1`, in each of which every architecture and every method has half of its cells.
 */
export function cells(
  tried: readonly MethodRow[] = methods,
  reasons: Record<string, string> = exceptions,
  on: readonly ArchitectureRow[] = architectures,
): Cell[] {
  const wanted = (process.env.GRAFT_MATRIX ?? '').split(',').filter(Boolean);
  const half = process.env.GRAFT_MATRIX_HALF ?? '';
  const isWanted = (name: string, architecture: ArchitectureRow, count: number) => {
    if (wanted.length > 0) return wanted.some((part) => `${name}$`.includes(part));
    return half === '' || (architectures.indexOf(architecture) + count) % 2 === Number(half);
  };
  return on.flatMap((architecture) => {
    const possible = tried
      .map((method, i) => ({ name: cellName(architecture, method), method, i }))
      .filter(({ name, method }) => !Object.hasOwn(reasons, name) && !ruleAgainst(method, architecture));
    return possible
      .filter(({ name }, count) => isWanted(name, architecture, count))
      .map(({ name, method, i }) => ({
        name,
        architecture,
        method,
        config: { ...method.config(architecture), task_type: architecture.task },
        seed: 100 + i,
      }));
  });
}
