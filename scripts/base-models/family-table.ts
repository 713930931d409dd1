/** Tables of docs/base-models.md and docs/from-openai.md, generated from the code by `node --import tsx scripts/base-models/family-table.ts`. */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { memoryToTrain } from '../../packages/peft-core/src/estimate/index.ts';
import { UNTIED_WEIGHTS } from '../../packages/peft-core/src/outlines/family.ts';
import {
  defaultTask,
  modelTypes,
  outlineOf,
  TASK_TYPES,
  type TaskType,
} from '../../packages/peft-core/src/outlines/index.ts';
import { suggestedModels } from '../../packages/wire/src/suggested-models.ts';
import { type ArchitectureRow, architectures } from '../../test/golden/matrix/architectures.ts';
import { exceptions } from '../../test/golden/matrix/exceptions.ts';
import { methods } from '../../test/golden/matrix/methods.ts';
import { formatsFor } from '../exports/format-table.ts';
import { replaceSection } from '../methods/docs-section.ts';
import { joinRows, plainTable } from '../methods/markdown-table.ts';

type Config = Record<string, unknown>;

interface PublishedModel {
  name: string;
  /** URL of the published config; null: a shape for tests, not a claim about a model. */
  source: string | null;
  /** Its config.json; for a multimodal model the part of the text model, which Graft trains. */
  config: Config;
  parameters: number;
}

const folder = path.join(import.meta.dirname, '../../test/golden/published-configs');

/** The supported models of a family that have a public source, by ascending size. */
const publishedModels = (modelType: string): PublishedModel[] =>
  shapesOf(modelType).filter(({ source }) => source !== null);

/** Supported models and test shapes of a family, by ascending size. Throws if there is none. */
function shapesOf(modelType: string): [PublishedModel, ...PublishedModel[]] {
  const models = readdirSync(folder).flatMap((file) =>
    Object.entries(
      JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as Record<
        string,
        Pick<PublishedModel, 'source' | 'parameters'> & {
          config: Config & { text_config?: Config };
          untied?: string[];
          refused?: string;
        }
      >,
    ).flatMap(([name, { config, source, untied, refused, parameters }]) => {
      const own = [config, config.text_config].find((each) => each?.model_type === modelType);
      if (!own || refused) return [];
      const separate = untied && { [UNTIED_WEIGHTS]: untied.map((module) => `${module}.weight`) };
      return [{ name, source, config: { ...own, ...separate }, parameters }];
    }),
  );
  const [first, ...others] = models.sort((a, b) => a.parameters - b.parameters);
  if (!first) throw new Error(`test/golden/published-configs has no model of ${modelType}`);
  return [first, ...others];
}

/** Sequence length for which memory is estimated, as in `graft inspect`. */
const TOKENS = 2048;

/** Devices and storage types of the base model's weights. */
const places = (['cpu', 'gpu'] as const).flatMap((device) =>
  (['bf16', 'nf4'] as const).map((storage) => ({ device, storage })),
);

/** A row for each family: its tasks, the default task first, and the methods and exports for the default task. */
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
  return plainTable(['`model_type`', 'tasks', 'methods', 'exports'], joinRows(lines));
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

/** "all", or the methods that one of the architectures does not support. */
function methodsOf(rows: readonly ArchitectureRow[]): string {
  const missing = methods.filter(({ name }) =>
    rows.some((row) => exceptions[`${row.name} × ${name}`] !== undefined),
  );
  return missing.length === 0 ? 'all' : `all but ${missing.map(({ name }) => name).join(', ')}`;
}

/** A row for each family and size: its models, and the memory for training one. */
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
  return plainTable(['`model_type`', 'models', 'parameters', ...memory], joinRows(lines));
}

/** A row for each suggested model. */
export function suggestionTable(): string {
  const lines = suggestedModels.map(({ hub, trainingGb, tools, languages, licence, replaces }) => {
    const names = replaces.map((name) => `\`${name}\``).join(', ') || '–';
    return [hub, gigabytes(trainingGb * 1e9), tools ? 'yes' : 'no', languages, licence, names];
  });
  return plainTable(['model', 'memory to train', 'tools', 'languages', 'licence', 'try it for'], lines);
}

/** Bytes to train a published model on a CPU with nf4 weights. Throws if test/golden/published-configs has no such model. */
export function suggestionMemory(hub: string): number {
  const model = modelTypes.flatMap(publishedModels).find(({ name }) => name === hub);
  if (!model) throw new Error(`test/golden/published-configs has no ${hub}`);
  return memoryToTrain(model.config, { tokens: TOKENS, device: 'cpu', storage: 'nf4' });
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
  const openai = path.join(import.meta.dirname, '../../docs/from-openai.md');
  await replaceSection(openai, 'suggestions', suggestionTable());
}
