import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { adapterFaults } from './adapter-values.ts';
import { methodFacts } from './config/method-facts.ts';
import type { PeftConfig } from './config.ts';
import type { BaseModel } from './formats/index.ts';
import { type Adapter, readAdapter } from './formats/index.ts';
import { architectureFor } from './models/registry.ts';
import { attach } from './tuners/registry.ts';

/** What an adapter folder holds, trains and needs, and which runtimes take it. */
export interface AdapterReport {
  folder: string;
  peft_type: PeftConfig['peft_type'];
  method: string;
  task_type: string;
  base_model: string | null;
  peft_version: string | null;
  /** Numbers in the adapter's files. */
  parameters: number;
  bytes: number;
  files: { path: string; bytes: number }[];
  /** Tensors by the kind of their name: `lora_A.weight`, with layers and modules counted together. */
  tensors: { kind: string; count: number; parameters: number; shapes: string[] }[];
  /** What of the config differs from a bare one. */
  config: Record<string, unknown>;
  runtimes: string[];
  /** Answered when a base model is given. */
  fits: { base: string; share_of_base: number; mergeable: boolean; faults: string[] } | null;
}

/** Reads an adapter folder, and holds it against a base model if one is given. Throws what `readAdapter` throws. */
export async function inspectAdapter(folder: string, base: BaseModel | null = null): Promise<AdapterReport> {
  const adapter = await readAdapter(folder);
  const { config, common, tensors } = adapter;
  const facts = methodFacts[config.peft_type]!;
  const files: AdapterReport['files'] = [];
  for (const name of (await readdir(folder)).sort()) {
    const { size } = await stat(path.join(folder, name));
    files.push({ path: name, bytes: size });
  }
  return {
    folder,
    peft_type: config.peft_type,
    method: facts.title,
    task_type: common.task_type ?? config.task_type,
    base_model: common.base_model_name_or_path,
    peft_version: common.peft_version,
    parameters: [...tensors.values()].reduce((sum, { data }) => sum + data.length, 0),
    bytes: files.reduce((sum, { bytes }) => sum + bytes, 0),
    files,
    tensors: kindsOf(tensors),
    config: telling(config),
    runtimes: ['Graft', ...(facts.library ? [facts.library] : []), ...facts.servedBy],
    fits: base ? fitOf(adapter, base) : null,
  };
}

function fitOf({ config, tensors }: Adapter, base: BaseModel): AdapterReport['fits'] {
  const architecture = architectureFor(base.modelType, base.config, config.task_type);
  const attachment = attach(config, architecture, 'folded');
  const size = (shape: number[]) => shape.reduce((a, b) => a * b, 1);
  const whole = architecture.parameters.reduce((sum, { shape }) => sum + size(shape), 0);
  const own = attachment.parameters.reduce((sum, { shape }) => sum + size(shape), 0);
  return {
    base: base.path,
    share_of_base: own / whole,
    mergeable: attachment.unmergeable === undefined,
    faults: adapterFaults(config, attachment.parameters, tensors, attachment.copies),
  };
}

/** Names without layer numbers and modules: `model.layers.3.self_attn.q_proj.lora_A.weight` is one more `lora_A.weight`. */
function kindsOf(tensors: Adapter['tensors']): AdapterReport['tensors'] {
  const kinds = new Map<string, { count: number; parameters: number; shapes: Set<string> }>();
  for (const [name, { shape, data }] of tensors) {
    const kind =
      /([^.]*(?:lora|ia3|ln_tuning|adapter|prompt|trainable)[^.]*(?:\.\w+)*)$/.exec(name)?.[1] ??
      name.replace(/^.*\.(?=[^.]+\.[^.]+$)/, '');
    const entry = kinds.get(kind) ?? { count: 0, parameters: 0, shapes: new Set<string>() };
    entry.count++;
    entry.parameters += data.length;
    entry.shapes.add(`[${shape.join(', ')}]`);
    kinds.set(kind, entry);
  }
  return [...kinds].map(([kind, { shapes, ...rest }]) => ({ kind, ...rest, shapes: [...shapes] }));
}

/** Fields that say something: neither empty nor off. */
function telling(config: PeftConfig): Record<string, unknown> {
  const off = (value: unknown) =>
    value === null ||
    value === false ||
    (typeof value === 'object' && Object.keys(value as object).length === 0);
  return Object.fromEntries(Object.entries(config).filter(([, value]) => !off(value)));
}
