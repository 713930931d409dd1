/** What docs/base-models.md takes from the code. `node --import tsx scripts/base-models/family-table.ts` writes it there. */
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
import { architectures } from '../../test/golden/matrix/architectures.ts';
import { exceptions } from '../../test/golden/matrix/exceptions.ts';
import { methods } from '../../test/golden/matrix/methods.ts';
import { replaceSection } from '../methods/docs-section.ts';
import { plainTable } from '../methods/markdown-table.ts';

type Config = Record<string, unknown>;

interface PublishedModel {
  name: string;
  /** Its config.json, or of a multimodal model that of the text model, which is what Graft trains. */
  config: Config;
  parameters: number;
}

const folder = path.join(import.meta.dirname, '../../test/golden/published-configs');

/** Tokens of the text for which memory is estimated, as in `graft inspect`. */
const TOKENS = 2048;

/** Where the base model's weights are, and how they are stored. */
const places = (['cpu', 'gpu'] as const).flatMap((device) =>
  (['bf16', 'nf4'] as const).map((storage) => ({ device, storage })),
);

/** The published models of a family, by ascending size. Throws if there is none. */
function publishedModels(modelType: string): [PublishedModel, ...PublishedModel[]] {
  const models = readdirSync(folder).flatMap((file) =>
    Object.entries(
      JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as Record<
        string,
        { config: Config & { text_config?: Config }; untied?: string[]; parameters: number }
      >,
    ).flatMap(([name, { config, untied, parameters }]) => {
      const own = [config, config.text_config].find((each) => each?.model_type === modelType);
      if (!own) return [];
      const separate = untied && { [UNTIED_WEIGHTS]: untied.map((module) => `${module}.weight`) };
      return [{ name, config: { ...own, ...separate }, parameters }];
    }),
  );
  const [first, ...others] = models.sort((a, b) => a.parameters - b.parameters);
  if (!first) throw new Error(`test/golden/published-configs has no model of ${modelType}`);
  return [first, ...others];
}

/** A line for each family: its tasks, the default one first, and the methods that it can have for that one. */
export function familyTable(): string {
  const lines = modelTypes.map((modelType) => {
    const [{ config }] = publishedModels(modelType);
    const first = defaultTask({ model_type: modelType });
    const others = TASK_TYPES.filter((task) => task !== first && hasTask(config, task));
    const tasks = [first, ...others].map((task) => `\`${task}\``);
    // The methods of a multimodal model are those of its text model.
    const text = (config.text_config as Config | undefined)?.model_type ?? modelType;
    return [`\`${modelType}\``, tasks.join(', '), methodsOf(String(text), first)];
  });
  return plainTable(['`model_type`', 'tasks', 'methods'], lines);
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

/** All methods, or all but those that cannot be on an architecture of the family in the golden matrix, for this task. */
function methodsOf(modelType: string, task: TaskType): string {
  const rows = architectures.filter((row) => row.config.model_type === modelType && row.task === task);
  if (rows.length === 0) throw new Error(`test/golden/matrix/architectures.ts has no ${modelType} ${task}`);
  const missing = methods.filter(({ name }) =>
    rows.some((row) => exceptions[`${row.name} × ${name}`] !== undefined),
  );
  return missing.length === 0 ? 'all' : `all but ${missing.map(({ name }) => name).join(', ')}`;
}

/** A line for each size of each family: the models of that size, and what training one takes. */
export function sizeTable(): string {
  const lines = modelTypes.flatMap((modelType) => {
    const bySize = new Map<string, { names: string[]; cells: string[] }>();
    for (const { name, config, parameters } of publishedModels(modelType)) {
      const memory = places.map((place) => memoryToTrain(config, { tokens: TOKENS, ...place }));
      const cells = [shortCount(parameters), ...memory.map(gigabytes)];
      const size = bySize.get(cells.join()) ?? { names: [], cells };
      size.names.push(name);
      bySize.set(cells.join(), size);
    }
    return [...bySize.values()].map(({ names, cells }) => [`\`${modelType}\``, names.join(', '), ...cells]);
  });
  const memory = places.map(({ device, storage }) => `${device.toUpperCase()}, ${storage}`);
  return plainTable(['`model_type`', 'models', 'parameters', ...memory], lines);
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
