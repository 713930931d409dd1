import { readdir, readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { isSetMetric, type PeftConfig } from '@graft/peft-core/config';
import { exportFormats, type ModelCard, modelCard } from '@graft/peft-core/exports';
import { type HubAccess, readLicense } from '@graft/peft-core/files';
import { autoClass } from '@graft/peft-core/outlines';
import type { AdapterVersion } from '../adapters/adapter.ts';
import { type BaseModelCatalogue, hubIdOf } from '../base-models/catalogue.ts';
import { readCodeVersion, versionText } from '../code-version.ts';
import type { Database } from '../database/database.ts';
import type { AdapterExport } from '../exports/export.ts';

/** Source of a model card: the published files and their place. */
export interface CardSource {
  version: AdapterVersion;
  /** Null: the version's own files. */
  made: AdapterExport | null;
  /** The files on this machine. */
  folder: string;
  hub: HubAccess;
}

/** Maximum size of a README.md that is read, in bytes. */
const longestReadme = 1 << 20;

/**
 * Writes the model card of a version or export. Null: its README.md is the user's own, who uploaded it, and remains. Throws GraftError
 * `hub_unavailable`, since the licence of the base model is read from the Hub.
 */
export async function writeCard(
  services: Database & { baseModels: Pick<BaseModelCatalogue, 'list' | 'configured'> },
  { version, made, folder, hub }: CardSource,
  { repository, signal }: { repository: string; signal: AbortSignal },
): Promise<string | null> {
  const { teamId, baseModel, lineage } = version;
  const names = await readdir(folder);
  const readme = names.includes('README.md') ? await readText(path.join(folder, 'README.md')) : null;
  const isUploaded = version.jobId === null && version.sourceIds.length === 0 && lineage.job_id === undefined;
  if (isUploaded && names.includes('README.md')) return null;
  const format = exportFormats.find(
    ({ name, card }) => name === made?.format || (!made && card.recognises(names)),
  );
  const id = await hubIdOf(services.baseModels, teamId, baseModel);
  return modelCard({
    format: format ?? null,
    options: made?.options ?? {},
    repository,
    base: {
      name: baseModel,
      hub: id,
      digest: digestOf(lineage.base_model),
      license: id && (await readLicense(hub, id, signal)),
      modelClass: classOf(lineage.base_model) ?? autoClass({}, (version.peft as PeftConfig).task_type),
    },
    config: version.peft as PeftConfig,
    training: objectOf(lineage.training),
    data: await dataOf(services, version),
    figures: figuresOf(version.metrics ?? {}),
    notes: made?.notes ?? [],
    adapterReadme: readme,
    graft: versionText(await readCodeVersion()),
  });
}

async function readText(file: string): Promise<string | null> {
  const { size } = await stat(file);
  return size > longestReadme ? null : await readFile(file, 'utf8');
}

const objectOf = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};

function digestOf(of: unknown): string | null {
  const { digest } = objectOf(of);
  return typeof digest === 'string' && /^[0-9a-f]{64}$/.test(digest) ? digest : null;
}

/** Versions of before 2026-12 name no class. */
function classOf(of: unknown): string | null {
  const { transformers_class: name } = objectOf(of);
  return typeof name === 'string' && /^AutoModel\w*$/.test(name) ? name : null;
}

/** Digests and numbers of examples. The lineage has digests; the files have counts, unless they were deleted. */
async function dataOf(
  { db }: Pick<Database, 'db'>,
  { teamId, lineage }: AdapterVersion,
): Promise<ModelCard['data']> {
  const listOf = (all: unknown, one: unknown) => (Array.isArray(all) ? all : [one]).map(objectOf);
  const files = [
    ...listOf(lineage.training_files, lineage.training_file).map((file) => ({
      use: 'training' as const,
      file,
    })),
    ...listOf(lineage.validation_files, lineage.validation_file).map((file) => ({
      use: 'validation' as const,
      file,
    })),
  ].filter(({ file }) => typeof file.sha256 === 'string' && /^[0-9a-f]{64}$/.test(file.sha256));
  const ids = files.flatMap(({ file: { id } }) => (typeof id === 'string' ? [id] : []));
  const known = await db.file.findMany({
    where: { teamId, id: { in: ids } },
    select: { id: true, examples: true },
  });
  return files.map(({ use, file }) => ({
    use,
    sha256: file.sha256 as string,
    examples: known.find(({ id }) => id === file.id)?.examples ?? null,
  }));
}

/** Metrics that a version's row has. Those of single validation sets have users' names of the sets, and are left out. */
function figuresOf(metrics: Record<string, unknown>): [label: string, value: number][] {
  const number = (label: string, value: unknown): [string, number][] =>
    typeof value === 'number' && Number.isFinite(value) ? [[label, value]] : [];
  const all = (before: string, of: unknown) =>
    Object.entries(objectOf(of)).flatMap(([name, value]) =>
      /^[a-z][a-z0-9_]{0,60}$/.test(name) && !isSetMetric(name) && !isSetMetric(`eval_${name}`)
        ? number(`${before}${name.replaceAll('_', ' ')}`, value)
        : [],
    );
  const { trainable, total } = objectOf(metrics.parameters);
  const base = typeof metrics.validation_base === 'string' ? metrics.validation_base : null;
  const on = base === 'int8' || base === 'nf4' ? ` on the ${base} base` : '';
  return [
    ...number('optimizer steps', metrics.steps),
    ...number('training loss at the end', metrics.final_loss),
    ...number(`validation loss${on}`, metrics.validation_loss),
    ...all(`validation${on}: `, metrics.validation),
    ...number('validation loss on the quantised base', metrics.quantised_validation_loss),
    ...all('validation on the quantised base: ', metrics.quantised_validation),
    ...number('trainable parameters', trainable),
    ...number('parameters', total),
  ];
}
