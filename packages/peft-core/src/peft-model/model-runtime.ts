import { tf, withinCluster } from '@graft/tf-graph';
import type { AttentionSite, ModelRuntime, RecurrentSite } from '../models/architecture.ts';
import type { Projections } from '../nn/attention/heads.ts';
import { exactly, usesKernels } from '../nn/computation.ts';
import type { ConvolutionWeights } from '../nn/delta-rule/causal-convolution.ts';
import type { DeltaInputs } from '../nn/delta-rule/delta-rule.ts';
import { dropout, type RandomState } from '../nn/dropout.ts';
import { embedding } from '../nn/embedding.ts';
import type { ExpertBalance } from '../nn/experts/expert-balance.ts';
import { updatedExpertColumns } from '../nn/experts/experts.ts';
import { layerNorm } from '../nn/layer-norm.ts';
import { linear } from '../nn/linear.ts';
import { type LowRankPair, updatedLinear } from '../nn/low-rank.ts';
import { checkpointed } from '../nn/recompute.ts';
import { residualSum } from '../nn/residual.ts';
import { rmsNorm } from '../nn/rms-norm.ts';
import { takeRows } from '../nn/rows.ts';
import { type FrozenWeight, type Weight, weightShape, weightValue } from '../nn/weight.ts';
import type { KeyValuePrefix, LayerContext } from '../tuners/tuner.ts';
import type { AdaptedWeights, ParameterTensors } from './adapted-weights.ts';

export interface RuntimeOptions {
  parameters: ParameterTensors;
  /** `ModelRuntime.attend`; `prefix` holds keys and values that every token of every row sees in addition. */
  attend(site: AttentionSite, projections: Projections, prefix?: KeyValuePrefix): tf.Tensor;
  /** `ModelRuntime.recur` of prepared inputs; needed only by models with recurrent layers. */
  recur?(site: RecurrentSite, inputs: PreparedInputs): tf.Tensor;
  random?: RandomState;
  /** `(K)` int32: positions whose hidden states are read at the end; absent: all. */
  read?: tf.Tensor;
  /** `(N)` int32: 1 for a position at which the adapter is active. Needed by adapters that are active only at some. */
  active?: tf.Tensor;
  /** Collects the constants, which the caller disposes when it has its gradients; without it no tensor is kept. */
  constants?: tf.Tensor[];
  /** Keep only each block's input for the backward pass. */
  checkpointing?: boolean;
  balance?: ExpertBalance;
}

/** The inputs of a recurrent layer with its parameters applied. */
export interface PreparedInputs extends Pick<DeltaInputs, 'decay' | 'rate'> {
  /** `(N, mixedWidth)`: queries, keys and values before the convolution. */
  mixed: tf.Tensor;
  convolution: ConvolutionWeights;
  /** `(valueHeads)`: factors of each position's own values, which are added; null: none are. */
  skip: tf.Tensor | null;
}

interface Pass {
  weights: AdaptedWeights;
  context: LayerContext;
  /** The parameters of `context`; replaced while a block runs again for its gradients. */
  parameters: ParameterTensors;
  random: RandomState | undefined;
  /** True where the rows are those in `read` by now. */
  readsSome: boolean;
  find(name: string): Weight | null;
  required(name: string): Weight;
}

/** The modules of a forward pass, as the adapter changes them. After layer `lastLayer` only the rows in `read` are needed. */
export function createRuntime(
  weights: AdaptedWeights,
  lastLayer: number,
  options: RuntimeOptions,
): ModelRuntime {
  const { random, read, constants, checkpointing = false } = options;
  const { attachment } = weights;
  const pass = startPass(weights, options);
  const { context, required } = pass;
  return {
    ...(options.balance ? { balance: options.balance } : {}),
    attend(site, projections) {
      // PEFT puts prefixes into the cache, which an encoder does not have.
      const prefix = (site.kind ?? 'self') === 'self' ? attachment?.prefix?.(context, site) : undefined;
      return options.attend(site, projections, prefix);
    },
    recur(site, { mixed, rate, step }) {
      if (!options.recur) throw new Error('this program computes no recurrent layers');
      const parameter = (name: string) => required(`${site.module}.${name}`);
      const value = (name: string) => weightValue(parameter(name));
      const weight = parameter('conv1d.weight');
      const bias = pass.find(`${site.module}.conv1d.bias`);
      const steps = tf.softplus(tf.add(exactly(step), value('dt_bias')));
      return options.recur(site, {
        mixed,
        decay: tf.neg(tf.mul(tf.exp(value('A_log')), steps)),
        rate: rate ? tf.sigmoid(exactly(rate)) : steps,
        skip: site.rule === 'state_space' ? exactly(value('D')) : null,
        convolution: {
          weight: weightValue(weight),
          ...(bias && { bias: weightValue(bias) }),
          isTrained: [weight, bias].some((each) => each && each.kind !== 'frozen'),
        },
      });
    },
    linears(modules, x) {
      const whole = usesKernels() ? stackOf(pass, modules) : null;
      return whole ? stackedLinear(pass, whole, modules, x) : modules.map((module) => this.linear(module, x));
    },
    linear: (module, x) => adaptedLinear(pass, module, x),
    experts(name, x, choice, parts) {
      const update = attachment?.experts?.get(name)?.(context, choice.count) ?? null;
      return updatedExpertColumns(x, required(name), update, choice, parts);
    },
    parameter: (name) => exactly(weightValue(required(name))),
    embedding(module, ids) {
      const factor = weights.embeddingFactorOf(module);
      const base = (ids: tf.Tensor) => {
        const rows = embedding(ids, required(`${module}.weight`), weights.paddingOf(module));
        return factor === 1 ? rows : tf.mul(rows, factor);
      };
      const wrapper = attachment?.embeddings?.get(module);
      return wrapper ? wrapper(context, ids, base) : base(ids);
    },
    rmsNorm(module, x, epsilon, shift = 0) {
      const weight = required(`${module}.weight`);
      const own = weightValue(weight);
      return rmsNorm(x, shift === 0 ? own : tf.add(own, shift), epsilon, weight.kind !== 'frozen');
    },
    times: (name, x) => tf.mul(x, weightValue(required(name))),
    layerNorm(module, x, epsilon, isStream = false) {
      const [weight, bias] = [required(`${module}.weight`), required(`${module}.bias`)];
      const isTrained = weight.kind !== 'frozen' || bias.kind !== 'frozen';
      return layerNorm(x, weightValue(weight), weightValue(bias), epsilon, { isStream, isTrained });
    },
    residualAdd(site, output, residual, norm, finish = (x) => x) {
      const wrapper = attachment?.residualAdds?.get(site.module);
      if (wrapper) return wrapper(context, output, residual, norm, finish);
      const sum = residualSum(residual, finish(output));
      return norm ? norm(sum) : sum;
    },
    rowsRead(layer, x) {
      if (!read || layer !== lastLayer) return x;
      pass.readsSome = true;
      return takeRows(x, read);
    },
    dropout: (x, probability) => (random ? dropout(x, probability, random) : x),
    constant(x) {
      return constants ? keptIn(constants, x) : x;
    },
    block(path, x, body, others = []) {
      // A block may run again for its gradients, after the last one.
      const fromStart: typeof body = (...inputs) => {
        pass.readsSome = false;
        return body(...inputs);
      };
      if (checkpointing) return checkpointedBlock(pass, path, x, fromStart, others);
      return withinCluster(path, () => fromStart(x, ...others));
    },
  };
}

function startPass(weights: AdaptedWeights, options: RuntimeOptions): Pass {
  const { parameters, random } = options;
  const find = (name: string) => weights.find(name, pass.context);
  const active = weights.attachment?.activates && activeRows(options, () => pass.readsSome);
  const pass: Pass = {
    weights,
    context: weights.context(() => pass.parameters, { ...(random && { random }), ...(active && { active }) }),
    parameters,
    random,
    readsSome: false,
    find,
    required(name) {
      const found = find(name);
      if (!found) throw new Error(`the model has no parameter ${name}`);
      return found;
    },
  };
  const derived = weights.attachment?.derive?.(pass.context);
  if (derived) pass.parameters = new Map([...parameters, ...derived]);
  return pass;
}

/** `LayerContext.active`: of all rows, and of those that are read after the last layer. */
function activeRows(
  { active, read, constants }: RuntimeOptions,
  readsSome: () => boolean,
): NonNullable<LayerContext['active']> {
  const column = (rows: tf.Tensor) => {
    // In float32: TensorFlow compares int32 on the host even when a GPU is present.
    const made = tf.expandDims(tf.greater(tf.cast(rows, 'float32'), 0), -1);
    return constants ? keptIn(constants, made) : made;
  };
  const all = active && column(active);
  const some = active && read && column(tf.gather(active, read));
  return () => {
    const rows = readsSome() ? some : all;
    if (!rows) throw new Error('this pass does not say where the adapter is active');
    return rows;
  };
}

function keptIn(constants: tf.Tensor[], x: tf.Tensor): tf.Tensor {
  constants.push(tf.keep(x));
  return x;
}

/** The output `(N, out)` of a linear module for x `(N, in)`. */
function adaptedLinear(pass: Pass, module: string, x: tf.Tensor): tf.Tensor {
  const { attachment } = pass.weights;
  const weight = pass.required(`${module}.weight`);
  const bias = pass.find(`${module}.bias`);
  const transposed = pass.weights.isTransposed(module);
  const base = (x: tf.Tensor) => linear(x, weight, bias, transposed);
  const product = (x: tf.Tensor) => linear(x, weight, null, transposed);
  if (usesKernels() && attachment?.lowRank?.has(module)) {
    const own = { weight, bias: bias && weightValue(bias), transposed };
    return updatedLinear(x, own, updatesOf(pass, [module]), pass.context.active?.());
  }
  const wrapper = attachment?.linears?.get(module);
  return wrapper ? wrapper(pass.context, x, base, { product, weight, bias }) : base(x);
}

/** The common matrix of modules that this program stores as a stack; null if they are not one. */
function stackOf(pass: Pass, modules: string[]): FrozenWeight | null {
  const weights = modules.map((module) => pass.required(`${module}.weight`));
  const [first] = weights;
  const stack = first?.kind === 'frozen' ? first.stack : undefined;
  const together = weights.every((each) => each.kind === 'frozen' && each.stack === stack);
  return stack && together ? stack : null;
}

/** The outputs `(N, Σ out)` of the modules of a stack, side by side. */
function stackedLinear(pass: Pass, whole: FrozenWeight, modules: string[], x: tf.Tensor): [tf.Tensor] {
  const biases = modules.map((module) => pass.find(`${module}.bias`));
  const values = () => biases.map((bias) => weightValue(bias!));
  const bias = biases[0] ? tf.concat(values(), 0) : null;
  const pairs = updatesOf(pass, modules);
  if (pairs.length > 0) {
    const own = { weight: whole, bias, transposed: false };
    return [updatedLinear(x, own, pairs, pass.context.active?.())];
  }
  const product = linear(x, whole, null);
  return [bias ? tf.add(product, bias) : product];
}

/** The low-rank updates of modules whose outputs `(N, Σ out)` are side by side. */
function updatesOf({ weights, context, required, random }: Pass, modules: string[]): LowRankPair[] {
  let offset = 0;
  return modules.flatMap((module) => {
    const update = weights.attachment?.lowRank?.get(module);
    const at = offset;
    offset += weightShape(required(`${module}.weight`))[weights.isTransposed(module) ? 1 : 0]!;
    if (!update) return [];
    const [a, b] = [context.parameter(update.a), context.parameter(update.b)];
    const dropout = random && { probability: update.dropout, random };
    return [{ a, b, scale: update.scale, offset: at, dropout }];
  });
}

/** Runs a block and keeps only its input: for its gradients it runs again, with the same random numbers. */
function checkpointedBlock(
  pass: Pass,
  path: string,
  x: tf.Tensor,
  body: (x: tf.Tensor, ...others: tf.Tensor[]) => tf.Tensor,
  others: tf.Tensor[],
): tf.Tensor {
  const { random } = pass;
  const names = [...pass.parameters.keys()].filter((name) => name.startsWith(`${path}.`));
  names.push(...(pass.weights.attachment?.sharedByBlocks ?? []));
  const stream = random?.stream;
  const run = (x: tf.Tensor, ...inputs: tf.Tensor[]) => {
    const outer = pass.parameters;
    const own = inputs.slice(others.length);
    pass.parameters = new Map([...outer, ...names.map((name, i): [string, tf.Tensor] => [name, own[i]!])]);
    if (random) random.stream = stream!;
    try {
      return body(x, ...inputs.slice(0, others.length));
    } finally {
      pass.parameters = outer;
    }
  };
  return checkpointed(run, x, [...others, ...names.map((name) => pass.parameters.get(name)!)], path);
}
