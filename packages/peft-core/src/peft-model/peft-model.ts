import type { ProgramBuilder, Variable } from '@graft/tf-graph';
import type { PeftConfig } from '../config/index.ts';
import type { Architecture, AttentionSite, ModelRuntime } from '../models/architecture.ts';
import type { Implementation } from '../nn/computation.ts';
import type { LanguageHead } from '../nn/cross-entropy.ts';
import type { FrozenWeight, Weight } from '../nn/weight.ts';
import { attach } from '../tuners/registry.ts';
import type { Attachment, AttachmentForm, KeyValuePrefix } from '../tuners/tuner.ts';
import type { BaseStorage } from '../weights/base-storage.ts';
import { declareWeights } from '../weights/stored-weights.ts';
import { AdaptedWeights, type ParameterTensors } from './adapted-weights.ts';
import { AdapterLayout } from './adapter-layout.ts';
import { createRuntime, type RuntimeOptions } from './model-runtime.ts';

export type { ParameterTensors } from './adapted-weights.ts';
export type { PreparedInputs, RuntimeOptions } from './model-runtime.ts';

/** A base model's frozen weights as variables of a program, and the adapter's parameters as one flat variable `adapter`. */
export interface PeftModel {
  architecture: Architecture;
  peft: PeftConfig | null;
  attachment: Attachment | null;
  layout: AdapterLayout;
  /** null if there is nothing to train: the plain base model. */
  adapter: Variable | null;
  /** Ids of the virtual tokens before every sequence, from the vocabulary's size on. */
  virtualTokens: number[];
  /** The model's forward pass with attention by `attend` and adapter parameters from `parameters`. */
  runtime(options: RuntimeOptions): ModelRuntime;
  /** A weight as the model uses it: trained replacement, alias or frozen; null if the model has none with this name. */
  weight(name: string, parameters: ParameterTensors): Weight | null;
  /** The language model's head, if no tuner wraps it, so that a loss can compute its logits in chunks; else null. */
  languageHead(parameters: ParameterTensors): LanguageHead | null;
  /** Computes the tensors to save from the trained parameters; null if they are the trained parameters themselves. */
  fold: ((parameters: ParameterTensors) => ParameterTensors) | null;
  /** Modules whose matrices are declared as one. */
  stacks: readonly string[][];
  /** The base's weights as declared, so that other adapters can share them. */
  frozen: ReadonlyMap<string, FrozenWeight>;
  wraps(module: string): boolean;
  /** The keys and values that a method puts before those of an attention; null if there are none. */
  prefix(site: Pick<AttentionSite, 'layer'>, parameters: ParameterTensors): KeyValuePrefix | null;
}

/**
 * Declares base weights in `builder` (stored as `storage`; norms and biases always in float32) and attaches the adapter.
 * The declared variables must still be written: see `load-weights.ts`.
 */
export function declarePeftModel(
  builder: ProgramBuilder,
  architecture: Architecture,
  peft: PeftConfig | null,
  storage: BaseStorage,
  form: AttachmentForm = 'folded',
  implementation: Implementation = 'stock',
): PeftModel {
  const { stacks, withHead } = baseForm(architecture, peft, implementation);
  const frozen = declareWeights(builder, architecture, storage, withHead, stacks);
  return { ...attachAdapter(builder, architecture, frozen, peft, { form, name: 'adapter' }), stacks };
}

/** The properties of the declared base weights that depend on the adapter: adapters with equal results can share the weights. */
export function baseForm(
  architecture: Architecture,
  peft: PeftConfig | null,
  implementation: Implementation,
): { stacks: string[][]; withHead: boolean } {
  const stacks = implementation === 'kernels' ? usableStacks(architecture, peft) : [];
  return { stacks, withHead: readsBaseHead(architecture, peft) };
}

/** The stacks in which every module is unchanged or has only a low-rank update. */
function usableStacks(architecture: Architecture, peft: PeftConfig | null): string[][] {
  const attachment = peft && attach(peft, architecture, 'folded');
  const changed = (module: string) =>
    attachment?.replacements?.has(`${module}.weight`) ||
    (attachment?.linears?.has(module) && !attachment.lowRank?.has(module));
  return architecture.stacks.filter((stack) => !stack.some(changed));
}

/** Checks whether the base model's own head for the task is used: without an adapter, or with one that does not replace it. */
export function readsBaseHead(architecture: Architecture, peft: PeftConfig | null): boolean {
  if (peft === null) return true;
  const { replacements } = attach(peft, architecture, 'folded');
  const head = architecture.parameters.filter(({ fresh, unread }) => fresh !== undefined && !unread);
  return head.some(({ name }) => !replacements?.has(name));
}

/** Attaches an adapter, with its values in the variable `name`, to declared base weights, which several adapters may share. */
export function attachAdapter(
  builder: ProgramBuilder,
  architecture: Architecture,
  frozen: ReadonlyMap<string, FrozenWeight>,
  peft: PeftConfig | null,
  { form, name }: { form: AttachmentForm; name: string },
): PeftModel {
  const attachment = peft ? attach(peft, architecture, form) : null;
  const layout = new AdapterLayout(attachment?.parameters ?? []);
  const weights = new AdaptedWeights(architecture, frozen, attachment);
  const contextOf = (parameters: ParameterTensors) => weights.context(() => parameters);
  const derive = attachment?.derive?.bind(attachment);
  const weight = (name: string, parameters: ParameterTensors) => weights.find(name, contextOf(parameters));
  const wraps = (module: string) => attachment?.linears?.has(module) ?? false;
  const { languageHead: head, logitCap: cap } = architecture;
  return {
    architecture,
    peft,
    attachment,
    layout,
    adapter: layout.size > 0 ? builder.variable({ name, shape: [layout.size] }) : null,
    virtualTokens: Array.from(
      { length: attachment?.virtualTokens ?? 0 },
      (_, i) => architecture.vocabularySize + i,
    ),
    stacks: [],
    frozen,
    runtime: (options) => createRuntime(weights, architecture.layers - 1, options),
    weight,
    languageHead: (parameters) =>
      head === null || wraps(head)
        ? null
        : { weight: weight(`${head}.weight`, parameters)!, ...(cap === undefined ? {} : { cap }) },
    fold: derive ? (parameters) => derive(contextOf(parameters)) : null,
    wraps,
    prefix: (site, parameters) => attachment?.prefix?.(contextOf(parameters), site) ?? null,
  };
}

/** The adapter's parameters as slices of the flat variable; empty for the plain base model. */
export function adapterTensors(model: PeftModel): ParameterTensors {
  return model.adapter ? model.layout.split(model.adapter.read()) : new Map();
}
