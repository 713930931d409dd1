import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { type Adapter, type BaseModel, readAdapter } from '../files.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import {
  leadingPositions,
  methodOf,
  type PeftConfig,
  type PeftType,
  runtimesFor,
  unmergeable,
} from '../tuners/methods.ts';
import { adapterArchitecture, headWeight } from './adapter-architecture.ts';
import { adapterFit, readAdapterFor } from './adapter-fit.ts';

/** Report on an adapter folder: its content, what it trains and needs, and which runtimes support it. */
export interface AdapterReport {
  folder: string;
  peft_type: PeftType;
  method: string;
  /** From the files, else from the base model; null if neither is known. */
  task_type: string | null;
  base_model: string | null;
  peft_version: string | null;
  /** Names of a classifier's classes, in order. */
  labels: string[] | null;
  /** Number of parameters in the adapter's files. */
  parameters: number;
  bytes: number;
  files: { path: string; bytes: number }[];
  /** Tensors by the kind of their name, aggregated over layers and modules. */
  tensors: { kind: string; count: number; parameters: number; shapes: string[] }[];
  /** The options that are neither empty nor off. */
  config: Record<string, unknown>;
  needs: AdapterNeeds;
  runtimes: string[];
  /** Present if a base model is given. */
  fits: { base: string; share_of_base: number; mergeable: boolean; faults: string[] } | null;
}

export interface AdapterNeeds {
  base_model: string | null;
  /** SHA-256 of the base model's weights; null if the files do not give it. Files of the Python libraries never do. */
  base_sha256: string | null;
  /** Python library that reads the files, and the version that wrote them. */
  library: string | null;
  /** Ids of tokens whose rows the adapter holds. The tokenizer must have the same tokens at these ids. */
  tokens: number[];
  /** Number of positions of the model's context that the adapter uses. */
  positions: number;
  /** Modules that the files hold in full. */
  modules: string[];
  /** The `num_labels` that the model must have: the number of rows of the head in the files. */
  classes: number | null;
}

/** Reads an adapter folder, and checks whether it fits a base model if one is given. Throws what `readAdapter` throws. */
export async function inspectAdapter(folder: string, base: BaseModel | null = null): Promise<AdapterReport> {
  const adapter = base ? await readAdapterFor(base, folder) : await readAdapter(folder);
  const { config, common, tensors } = adapter;
  const { title, tensorNames = [] } = methodOf(config);
  const files: AdapterReport['files'] = [];
  for (const name of (await readdir(folder)).sort()) {
    const { size } = await stat(path.join(folder, name));
    files.push({ path: name, bytes: size });
  }
  return {
    folder,
    peft_type: config.peft_type,
    method: title,
    task_type: common.task_type ?? (base ? config.task_type : null),
    base_model: common.base_model_name_or_path,
    peft_version: common.peft_version,
    labels: adapter.labels,
    parameters: numbersIn(tensors),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    files,
    tensors: kindsOf(tensors, tensorNames),
    config: setOptions(config),
    needs: needsOf(adapter),
    runtimes: runtimesFor(config),
    fits: base ? await fitOf(adapter, base) : null,
  };
}

function numbersIn(tensors: Adapter['tensors']): number {
  return [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0);
}

async function fitOf(adapter: Adapter, base: BaseModel): Promise<AdapterReport['fits']> {
  const { attachment, faults } = await adapterFit(base, adapter);
  const whole = base.tensors
    .names()
    .reduce((sum, name) => sum + elementCount(base.tensors.info(name).shape), 0);
  const own = attachment?.parameters
    .filter(({ constant }) => !constant)
    .reduce((sum, { shape }) => sum + elementCount(shape), 0);
  return {
    base: base.path,
    share_of_base: (own ?? numbersIn(adapter.tensors)) / whole,
    mergeable:
      attachment !== null && unmergeable(adapter.config, adapterArchitecture(base, adapter)) === null,
    faults,
  };
}

function needsOf({ config, common, tensors, baseDigest }: Adapter): AdapterNeeds {
  const method = methodOf(config);
  const { library, files } = method;
  const { virtualTokens, prefixLength } = leadingPositions(config);
  // A classifier's config lists all heads that models may have; its files hold one.
  const saved = ('modules_to_save' in config && config.modules_to_save) || [];
  return {
    base_model: common.base_model_name_or_path,
    base_sha256: baseDigest,
    library: library && [library, files?.version ?? common.peft_version].filter(Boolean).join(' '),
    tokens: [...new Set(method.tokens?.(config))],
    positions: virtualTokens + prefixLength,
    modules: saved.filter((module) => [...tensors.keys()].some((key) => key.includes(`${module}.`))),
    classes: headWeight({ tensors })?.shape[0] ?? null,
  };
}

/** Groups tensors by names without layers and modules: from the method's own part on, else from the last part but one. */
function kindsOf(tensors: Adapter['tensors'], own: string[]): AdapterReport['tensors'] {
  const ownPart = own.length === 0 ? null : new RegExp(`([^.]*(?:${own.join('|')})[^.]*(?:\\.\\w+)*)$`);
  const kinds = new Map<string, { count: number; parameters: number; shapes: Set<string> }>();
  for (const [name, { shape, data }] of tensors) {
    const kind = ownPart?.exec(name)?.[1] ?? name.replace(/^.*\.(?=[^.]+\.[^.]+$)/, '');
    const entry = kinds.get(kind) ?? { count: 0, parameters: 0, shapes: new Set<string>() };
    entry.count++;
    entry.parameters += data.length;
    entry.shapes.add(`[${shape.join(', ')}]`);
    kinds.set(kind, entry);
  }
  return [...kinds].map(([kind, { shapes, ...rest }]) => ({ kind, ...rest, shapes: [...shapes] }));
}

/** The fields that are neither empty nor off. */
function setOptions(config: PeftConfig): Record<string, unknown> {
  const off = (value: unknown) =>
    value === null ||
    value === false ||
    (typeof value === 'object' && Object.keys(value as object).length === 0);
  return Object.fromEntries(Object.entries(config).filter(([, value]) => !off(value)));
}
