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

/** Every cell that can be. GRAFT_MATRIX narrows them: parts of names, with commas between; `lora$` is the end of one. */
export function cells(
  tried: readonly MethodRow[] = methods,
  reasons: Record<string, string> = exceptions,
  on: readonly ArchitectureRow[] = architectures,
): Cell[] {
  const wanted = (process.env.GRAFT_MATRIX ?? '').split(',').filter(Boolean);
  return on.flatMap((architecture) =>
    tried.flatMap((method, i) => {
      const name = cellName(architecture, method);
      if (Object.hasOwn(reasons, name) || ruleAgainst(method, architecture)) return [];
      const isWanted = (part: string) => `${name}$`.includes(part);
      if (wanted.length > 0 && !wanted.some(isWanted)) return [];
      return [
        {
          name,
          architecture,
          method,
          config: { ...method.config(architecture), task_type: architecture.task },
          seed: 100 + i,
        },
      ];
    }),
  );
}
