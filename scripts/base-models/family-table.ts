/** Parts of docs/base-models.md that come from the code. `node --import tsx scripts/base-models/family-table.ts` writes them there. */
import path from 'node:path';
import { memoryToTrain } from '../../packages/peft-core/src/estimate/index.ts';
import {
  defaultTask,
  modelTypes,
  outlineOf,
  TASK_TYPES,
  type TaskType,
} from '../../packages/peft-core/src/outlines/index.ts';
import { type ArchitectureRow, architectures } from '../../test/golden/matrix/architectures.ts';
import { exceptions } from '../../test/golden/matrix/exceptions.ts';
import { methods } from '../../test/golden/matrix/methods.ts';
import { formatsFor } from '../exports/format-table.ts';
import { replaceSection } from '../methods/docs-section.ts';
import { plainTable } from '../methods/markdown-table.ts';
import { type Config, publishedModels, shapesOf } from './published-models.ts';

/** Tokens of the text for which memory is estimated, as in `graft inspect`. */
const TOKENS = 2048;

/** Where the base model's weights are, and how they are stored. */
const places = (['cpu', 'gpu'] as const).flatMap((device) =>
  (['bf16', 'nf4'] as const).map((storage) => ({ device, storage })),
);

/** The tasks of each family, the default one first, and the methods and exports that it can have for that one. */
export function familyTable(): string {
  const lines = modelTypes.map((modelType) => {
    const [{ config }] = shapesOf(modelType);
    const first = defaultTask({ model_type: modelType });
    const others = TASK_TYPES.filter((task) => task !== first && hasTask(config, task));
    const tasks = [first, ...others].map((task) => `\`${task}\``);
    // The methods of a multimodal model are those of its text model.
    const text = (config.text_config as Config | undefined)?.model_type ?? modelType;
    const rows = rowsOf(String(text), first);
    return [
      `\`${modelType}\``,
      tasks.join(', '),
      methodsOf(rows),
      formatsFor({ ...rows[0], config }).join(', '),
    ];
  });
  return plainTable(['`model_type`', 'tasks', 'methods', 'exports'], joinFamilies(lines));
}

/** One line for the families (first cells) whose other cells are equal. */
function joinFamilies(lines: string[][]): string[][] {
  const families = new Map<string, string[]>();
  for (const [family = '', ...cells] of lines) {
    const row = JSON.stringify(cells);
    families.set(row, [...(families.get(row) ?? []), family]);
  }
  return [...families].map(([row, names]) => [names.join(', '), ...(JSON.parse(row) as string[])]);
}

function hasTask(config: Config, task: TaskType): boolean {
  try {
    outlineOf(config, task);
    return true;
  } catch (error) {
    if ((error as { code?: string }).code === 'unsupported_task') return false;
    throw error;
  }
}

/** The architectures of a family in the golden matrix for a task. */
function rowsOf(modelType: string, task: TaskType): [ArchitectureRow, ...ArchitectureRow[]] {
  const rows = architectures.filter((row) => row.config.model_type === modelType && row.task === task);
  const [first, ...others] = rows;
  if (!first) throw new Error(`test/golden/matrix/architectures.ts has no ${modelType} ${task}`);
  return [first, ...others];
}

/** All methods, or all but those that cannot be on one of the architectures. */
function methodsOf(rows: readonly ArchitectureRow[]): string {
  const missing = methods.filter(({ name }) =>
    rows.some((row) => exceptions[`${row.name} × ${name}`] !== undefined),
  );
  return missing.length === 0 ? 'all' : `all but ${missing.map(({ name }) => name).join(', ')}`;
}

/** The models of each size of each family, and what training one takes. */
export function sizeTable(): string {
  const lines: string[][] = [];
  for (const modelType of modelTypes) {
    const bySize = new Map<string, { names: string[]; cells: string[] }>();
    for (const { name, config, parameters } of publishedModels(modelType)) {
      const memory = places.map((place) => memoryToTrain(config, { tokens: TOKENS, ...place }));
      const cells = [shortCount(parameters), ...memory.map(gigabytes)];
      const size = bySize.get(cells.join()) ?? { names: [], cells };
      size.names.push(name);
      bySize.set(cells.join(), size);
    }
    for (const { names, cells } of bySize.values())
      lines.push([`\`${modelType}\``, names.join(', '), ...cells]);
  }
  const memory = places.map(({ device, storage }) => `${device.toUpperCase()}, ${storage}`);
  return plainTable(['`model_type`', 'models', 'parameters', ...memory], joinFamilies(lines));
}

const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;

/** With three digits: 135 M, 1.24 B. */
const shortCount = (count: number) =>
  count < 0.9995e9
    ? `${Number((count / 1e6).toPrecision(3))} M`
    : `${Number((count / 1e9).toPrecision(3))} B`;

if (process.argv[1] === import.meta.filename) {
  const page = path.join(import.meta.dirname, '../../docs/base-models.md');
  await replaceSection(page, 'families', familyTable());
  await replaceSection(page, 'sizes', sizeTable());
}
