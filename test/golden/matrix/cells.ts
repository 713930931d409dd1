import { adaptersMethods } from './adapters-methods.ts';
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
  /** Seed of the adapter's initial values; it does not depend on which other cells are selected. */
  seed: number;
}

/** Into how many parts runs divide the matrix. */
export const partCount = 8;

export const cellName = (architecture: ArchitectureRow, method: MethodRow): string =>
  `${architecture.name} × ${method.name}`;

/**
 * The cells to test of these methods and architectures. Three variables select them:
 * - GRAFT_MATRIX: parts of names, separated by commas; `lora$` matches the end of a name.
 * - GRAFT_MATRIX_PART, without GRAFT_MATRIX: `0` to `7`, an eighth in which every architecture and every method has a cell; `2,6` is two.
 * - GRAFT_MATRIX_CHANGED, beside a part: folders of methods (`ln-tuning`) and model types (`qwen2`), separated by commas, of which
 *   every cell is selected; `*` selects all.
 */
export function cells(
  tried: readonly MethodRow[] = methods,
  on: readonly ArchitectureRow[] = architectures,
): Cell[] {
  const names = listOf(process.env.GRAFT_MATRIX);
  const chosen = listOf(process.env.GRAFT_MATRIX_PART).map(Number);
  const changed = new Set(listOf(process.env.GRAFT_MATRIX_CHANGED));
  const possible = possibleCells();
  const parts = partsOf(possible);
  const isSelected = (cell: Cell) => {
    if (names.length > 0) return names.some((name) => `${cell.name}$`.includes(name));
    if (chosen.length === 0 || chosen.some((part) => parts.get(cell)!.has(part))) return true;
    return ['*', methodFolder(cell), modelType(cell)].some((name) => changed.has(name));
  };
  return possible.filter(
    (cell) => tried.includes(cell.method) && on.includes(cell.architecture) && isSelected(cell),
  );
}

const listOf = (variable = '') => variable.split(',').filter(Boolean);

/** The folder of the cell's method in packages/peft-core/src/tuners. */
const methodFolder = ({ config }: Cell) => String(config.peft_type).toLowerCase().replaceAll('_', '-');
const modelType = ({ architecture }: Cell) => String(architecture.config.model_type);

/** Every name that GRAFT_MATRIX_CHANGED can have, beside `*`. */
export const changeNames = (): Set<string> =>
  new Set(possibleCells().flatMap((cell) => [methodFolder(cell), modelType(cell)]));

function possibleCells(): Cell[] {
  return architectures.flatMap((architecture) =>
    [methods, adaptersMethods].flatMap((rows) =>
      rows
        .map((method, i) => ({
          name: cellName(architecture, method),
          architecture,
          method,
          config: { ...method.config(architecture), task_type: architecture.task },
          seed: 100 + i,
        }))
        .filter(({ name, method }) => !Object.hasOwn(exceptions, name) && !ruleAgainst(method, architecture)),
    ),
  );
}

/** The parts of each cell: one, and another where an architecture or a method would otherwise have no cell in that part. */
function partsOf(possible: readonly Cell[]): Map<Cell, Set<number>> {
  const rows = [...methods, ...adaptersMethods];
  const parts = new Map(
    possible.map((cell) => {
      const diagonal = architectures.indexOf(cell.architecture) + rows.indexOf(cell.method);
      return [cell, new Set([diagonal % partCount])];
    }),
  );
  for (const side of ['architecture', 'method'] as const) {
    for (const name of new Set(possible.map((cell) => cell[side].name))) {
      const group = possible.filter((cell) => cell[side].name === name);
      for (let part = 0; part < partCount; part++) {
        if (!group.some((cell) => parts.get(cell)!.has(part)))
          parts.get(group[part % group.length]!)!.add(part);
      }
    }
  }
  return parts;
}
