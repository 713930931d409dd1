import { type ProgramBuilder, tf, type Variable, withinCluster } from '@graft/tf-graph';
import type { PeftConfig } from '../config/index.ts';
import type { Architecture, AttentionSite, ModelRuntime } from '../models/architecture.ts';
import type { Projections } from '../nn/attention/heads.ts';
import { type Implementation, usesKernels } from '../nn/computation.ts';
import { dropout, type RandomState } from '../nn/dropout.ts';
import { embedding } from '../nn/embedding.ts';
import { layerNorm } from '../nn/layer-norm.ts';
import { linear } from '../nn/linear.ts';
import { type LowRankPair, updatedLinear } from '../nn/low-rank.ts';
import { checkpointed } from '../nn/recompute.ts';
import { residualSum } from '../nn/residual.ts';
import { rmsNorm } from '../nn/rms-norm.ts';
import { takeRows } from '../nn/rows.ts';
import { type FrozenWeight, type Weight, weightShape, weightValue } from '../nn/weight.ts';
import { attach } from '../tuners/registry.ts';
import type { Attachment, AttachmentForm, KeyValuePrefix, LayerContext } from '../tuners/tuner.ts';
import type { BaseStorage } from '../weights/base-storage.ts';
import { declareWeights } from '../weights/stored-weights.ts';
import { AdapterLayout } from './adapter-layout.ts';

/** A base model's frozen weights as variables of a program, and the adapter's parameters as one flat variable `adapter`. */
export interface PeftModel {
  architecture: Architecture;
  peft: PeftConfig | null;
  attachment: Attachment | null;
  layout: AdapterLayout;
  /** null when there is nothing to train: the plain base model. */
  adapter: Variable | null;
  /** Ids of the virtual tokens before every sequence, from the vocabulary's size on. */
  virtualTokens: number[];
  /** The model's own forward pass over `attend`, with adapter parameters taken from `parameters`. */
  runtime(options: RuntimeOptions): ModelRuntime;
  /** A weight as the model uses it: trained replacement, alias or frozen; null when the model has none of that name. */
  weight(name: string, parameters: ParameterTensors): Weight | null;
  /** What the adapter is saved as, from its trained parameters; null when that is these parameters themselves. */
  fold: ((parameters: ParameterTensors) => ParameterTensors) | null;
  /** Modules whose matrices were declared as one. */
  stacks: readonly string[][];
  /** The base's weights as they were declared, for other adapters on them. */
  frozen: ReadonlyMap<string, FrozenWeight>;
  /** True when a tuner wraps this linear module. */
  wraps(module: string): boolean;
  /** What a method puts before the keys and values of an attention; null when it puts nothing there. */
  prefix(site: Pick<AttentionSite, 'layer'>, parameters: ParameterTensors): KeyValuePrefix | null;
}

export type ParameterTensors = Map<string, tf.Tensor>;

export interface RuntimeOptions {
  parameters: ParameterTensors;
  /** As ModelRuntime's, and `prefix` holds keys and values that every token of every row sees besides. */
  attend(site: AttentionSite, projections: Projections, prefix?: KeyValuePrefix): tf.Tensor;
  random?: RandomState;
  /** `(K)` int32: positions whose hidden states are read at the end; absent: all. */
  read?: tf.Tensor;
  /** Collects the constants that the caller disposes when it has its gradients; without it nothing is kept. */
  constants?: tf.Tensor[];
  /** Keep only each block's input for the backward pass. */
  checkpointing?: boolean;
}

/**
 * Declares base weights in `builder` (stored as `storage`; norms and biases always in float32) and attaches the adapter.
 * The declared variables still have to be written: see `load-weights.ts`.
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

/** Of the base's weights what depends on the adapter: those for which it is the same can share them. */
export function baseForm(
  architecture: Architecture,
  peft: PeftConfig | null,
  implementation: Implementation,
): { stacks: string[][]; withHead: boolean } {
  const stacks = implementation === 'kernels' ? usableStacks(architecture, peft) : [];
  return { stacks, withHead: readsBaseHead(architecture, peft) };
}

/** Those of which every module is as it was, or has an update of low rank alone. */
function usableStacks(architecture: Architecture, peft: PeftConfig | null): string[][] {
  const attachment = peft && attach(peft, architecture, 'folded');
  const changed = (module: string) =>
    attachment?.replacements?.has(`${module}.weight`) ||
    (attachment?.linears?.has(module) && !attachment.lowRank?.has(module));
  return architecture.stacks.filter((stack) => !stack.some(changed));
}

/** Whether the base model's own head for the task is read: without an adapter, or with one that leaves it as it is. */
export function readsBaseHead(architecture: Architecture, peft: PeftConfig | null): boolean {
  if (peft === null) return true;
  const { replacements } = attach(peft, architecture, 'folded');
  const head = architecture.parameters.filter(({ fresh, unread }) => fresh !== undefined && !unread);
  return head.some(({ name }) => !replacements?.has(name));
}

/** An adapter, its values in the variable `name`, on base weights that are declared already: several may share them. */
export function attachAdapter(
  builder: ProgramBuilder,
  architecture: Architecture,
  frozen: ReadonlyMap<string, FrozenWeight>,
  peft: PeftConfig | null,
  { form, name }: { form: AttachmentForm; name: string },
): PeftModel {
  const attachment = peft ? attach(peft, architecture, form) : null;
  const layout = new AdapterLayout(attachment?.parameters ?? []);
  const adapter = layout.size > 0 ? builder.variable({ name, shape: [layout.size] }) : null;
  const paddings = new Map(architecture.modules.map(({ name, padding }) => [name, padding]));
  const transposed = new Set(architecture.modules.filter((m) => m.transposed).map((m) => m.name));
  const baseWeight = (name: string) => frozen.get(architecture.aliases[name] ?? name) ?? null;

  /** What a tuner's parts see; `parameters` may change while blocks run again for their gradients. */
  const contextOf = (current: () => ParameterTensors, random?: RandomState): LayerContext => ({
    parameter(name) {
      const found = current().get(name);
      if (!found) throw new Error(`the adapter has no parameter ${name}`);
      return found;
    },
    weight: baseWeight,
    ...(random ? { random } : {}),
  });
  const weightIn = (context: LayerContext, name: string): Weight | null => {
    const replacement = attachment?.replacements?.get(name);
    return replacement ? replacement(context) : baseWeight(name);
  };

  function runtime(options: RuntimeOptions): ModelRuntime {
    const { random, read, constants, checkpointing = false } = options;
    let parameters = options.parameters;
    const context = contextOf(() => parameters, random);
    if (attachment?.derive) parameters = new Map([...parameters, ...attachment.derive(context)]);
    const required = (name: string): Weight => {
      const found = weightIn(context, name);
      if (!found) throw new Error(`the model has no parameter ${name}`);
      return found;
    };
    /** The one matrix of modules that are a stack of this program's; null where they are not. */
    const wholeOf = (modules: string[]): FrozenWeight | null => {
      const weights = modules.map((module) => required(`${module}.weight`));
      const [first] = weights;
      const stack = first?.kind === 'frozen' ? first.stack : undefined;
      const together = weights.every((each) => each.kind === 'frozen' && each.stack === stack);
      return stack && together ? stack : null;
    };
    /** The updates of low rank of modules whose outputs `(N, Σ out)` lie side by side. */
    const updatesOf = (modules: string[]): LowRankPair[] => {
      let offset = 0;
      return modules.flatMap((module) => {
        const update = attachment?.lowRank?.get(module);
        const at = offset;
        offset += weightShape(required(`${module}.weight`))[transposed.has(module) ? 1 : 0]!;
        if (!update) return [];
        const [a, b] = [context.parameter(update.a), context.parameter(update.b)];
        const dropout = random && { probability: update.dropout, random };
        return [{ a, b, scale: update.scale, offset: at, dropout }];
      });
    };
    return {
      attend(site, projections) {
        // PEFT's prefixes are in the cache, which an encoder does not have.
        const prefix = (site.kind ?? 'self') === 'self' ? attachment?.prefix?.(context, site) : undefined;
        return options.attend(site, projections, prefix);
      },
      linears(modules, x) {
        const whole = usesKernels() ? wholeOf(modules) : null;
        if (!whole) return modules.map((module) => this.linear(module, x));
        const biases = modules.map((module) => weightIn(context, `${module}.bias`));
        const bias = biases[0]
          ? tf.concat(
              biases.map((bias) => weightValue(bias!)),
              0,
            )
          : null;
        const pairs = updatesOf(modules);
        if (pairs.length > 0) return [updatedLinear(x, { weight: whole, bias, transposed: false }, pairs)];
        const product = linear(x, whole, null);
        return [bias ? tf.add(product, bias) : product];
      },
      linear(module, x) {
        const weight = required(`${module}.weight`);
        const bias = weightIn(context, `${module}.bias`);
        const base = (x: tf.Tensor) => linear(x, weight, bias, transposed.has(module));
        const product = (x: tf.Tensor) => linear(x, weight, null, transposed.has(module));
        if (usesKernels() && attachment?.lowRank?.has(module)) {
          const own = { weight, bias: bias && weightValue(bias), transposed: transposed.has(module) };
          return updatedLinear(x, own, updatesOf([module]));
        }
        const wrapper = attachment?.linears?.get(module);
        return wrapper ? wrapper(context, x, base, { product, weight, bias }) : base(x);
      },
      embedding(module, ids) {
        const base = (ids: tf.Tensor) =>
          embedding(ids, required(`${module}.weight`), paddings.get(module) ?? null);
        const wrapper = attachment?.embeddings?.get(module);
        return wrapper ? wrapper(context, ids, base) : base(ids);
      },
      rmsNorm(module, x, epsilon) {
        const weight = required(`${module}.weight`);
        return rmsNorm(x, weightValue(weight), epsilon, weight.kind !== 'frozen');
      },
      layerNorm(module, x, epsilon, isStream = false) {
        const [weight, bias] = [required(`${module}.weight`), required(`${module}.bias`)];
        const isTrained = weight.kind !== 'frozen' || bias.kind !== 'frozen';
        return layerNorm(x, weightValue(weight), weightValue(bias), epsilon, { isStream, isTrained });
      },
      residualAdd(site, output, residual, norm) {
        const wrapper = attachment?.residualAdds?.get(site.module);
        if (wrapper) return wrapper(context, output, residual, norm);
        const sum = residualSum(residual, output);
        return norm ? norm(sum) : sum;
      },
      rowsRead: (layer, x) => (read && layer === architecture.layers - 1 ? takeRows(x, read) : x),
      dropout: (x, probability) => (random ? dropout(x, probability, random) : x),
      constant(x) {
        if (!constants) return x;
        constants.push(tf.keep(x));
        return x;
      },
      block(path, x, body, others = []) {
        if (!checkpointing) return withinCluster(path, () => body(x, ...others));
        const names = [...parameters.keys()].filter((name) => name.startsWith(`${path}.`));
        names.push(...(attachment?.sharedByBlocks ?? []));
        const stream = random?.stream;
        const run = (x: tf.Tensor, ...inputs: tf.Tensor[]) => {
          const outer = parameters;
          const own = inputs.slice(others.length);
          parameters = new Map([...outer, ...names.map((name, i) => [name, own[i]!] as const)]);
          if (random) random.stream = stream!;
          try {
            return body(x, ...inputs.slice(0, others.length));
          } finally {
            parameters = outer;
          }
        };
        return checkpointed(run, x, [...others, ...names.map((name) => parameters.get(name)!)], path);
      },
    };
  }
  const derive = attachment?.derive?.bind(attachment);
  return {
    architecture,
    peft,
    attachment,
    layout,
    adapter,
    virtualTokens: Array.from(
      { length: attachment?.virtualTokens ?? 0 },
      (_, i) => architecture.vocabularySize + i,
    ),
    stacks: [],
    frozen,
    runtime,
    weight: (name, parameters) =>
      weightIn(
        contextOf(() => parameters),
        name,
      ),
    fold: derive ? (parameters) => derive(contextOf(() => parameters)) : null,
    wraps: (module) => attachment?.linears?.has(module) ?? false,
    prefix: (site, parameters) =>
      attachment?.prefix?.(
        contextOf(() => parameters),
        site,
      ) ?? null,
  };
}

/** The adapter's parameters as tensors, cut from the flat variable; empty for the plain base model. */
export function adapterTensors(model: PeftModel): ParameterTensors {
  return model.adapter ? model.layout.split(model.adapter.read()) : new Map();
}
