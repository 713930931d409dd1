import { customGradient, tf } from '@graft/tf-graph';
import type { Architecture } from '../../models/architecture.ts';
import { dropout } from '../../nn/dropout.ts';
import { trainedProduct } from '../../nn/linear.ts';
import { activeRows, updatedLinear } from '../../nn/low-rank.ts';
import { flowingSum } from '../../nn/residual.ts';
import { takeRows } from '../../nn/rows.ts';
import { scaledColumns, withBias } from '../../nn/scaled-columns.ts';
import { updatedNorms } from '../../nn/updated-norms.ts';
import { type Weight, weightValue } from '../../nn/weight.ts';
import { embeddingCopies } from '../attach/embedding-copies.ts';
import { addMerge, savedModules } from '../attach/saved-modules.ts';
import { constant, drawn, normal, uniform } from '../attach/start-values.ts';
import { addTokenRows } from '../attach/token-rows.ts';
import { addBiases, biasCopies } from '../matrices/trained-biases.ts';
import { isWithin, transposedTargets, writtenTargets } from '../target-modules.ts';
import type {
  AdapterParameter,
  Attachment,
  AttachmentForm,
  EmbeddingWrapper,
  ExpertUpdater,
  InputPass,
  LayerContext,
  LinearWrapper,
  LowRankUpdate,
  Merge,
  Tuner,
} from '../tuner.ts';
import type { LoraConfig } from './config.ts';
import { withoutFormerNames } from './former-names.ts';
import { initialA, initialB, initialBias, initialMagnitude } from './init.ts';
import { addUpdate, mergedWeight } from './merge.ts';
import { loraMethod } from './method.ts';
import { evaOptions } from './principal/eva-config.ts';
import { INPUT_DIRECTIONS, QUANTISATION_ERROR, startsFromWeight } from './principal/init-names.ts';
import { publishedLora } from './principal/published.ts';
import { quantisationErrorA, quantisationErrorB } from './principal/start-values.ts';
import { derivedFactors, principalParameters } from './principal/trained-factors.ts';
import {
  type ExpertTarget,
  expertNames,
  type LoraNames,
  type LoraTarget,
  loraNames,
  loraTargets,
  loraTokenTargets,
  wrappedModules,
} from './targets.ts';

/** Checks whether only target_parameters names what is adapted: then PEFT writes no target_modules. */
const adaptsOnlyParameters = (
  { target_modules, target_parameters }: LoraConfig,
  { defaultTargets }: Architecture,
): boolean => target_modules === null && !!target_parameters?.length && !defaultTargets.LORA;

/** Low-rank adaptation. Options, names and start values follow peft's LoraConfig. */
export const loraTuner: Tuner<LoraConfig> = { keyPrefix: 'base_model.model.', attach };

function attach(requested: LoraConfig, model: Architecture, form: AttachmentForm): Attachment {
  loraMethod.check(requested, model);
  const published = publishedLora(requested);
  const { init_lora_weights: requestedInit } = requested;
  const principal = form === 'trained' && startsFromWeight(requestedInit) ? requestedInit : null;
  const given = principal ? requested : published;
  const config = withoutFormerNames(given, model);
  const saved = savedModules(config, model);
  const { parameters, replacements, merges } = saved;
  const linears = new Map<string, LinearWrapper>();
  const lowRank = new Map<string, LowRankUpdate>();
  const embeddings = new Map<string, EmbeddingWrapper>();
  const adapted = loraTargets(config, model);
  const targets = adapted.targets.filter(
    ({ name }) => !saved.modules.some((module) => isWithin(name, module)),
  );
  const names = targets.map(({ name }) => name);

  for (const target of loraTokenTargets(config, model))
    addTokenRows(saved, target, `${target.module}.token_adapter.trainable_tokens_delta`, model);
  addBiases(saved, config.bias, model, wrappedModules(names, adapted.experts));
  for (const target of targets) {
    const { name, kind, rank, width, out, scale } = target;
    const init = config.init_lora_weights;
    const own = loraNames(target, config);
    const [ofA, ofB] =
      kind === 'embedding' ? (['embedding', 'embedding'] as const) : (['first', 'second'] as const);
    if (principal) parameters.push(...principalParameters(target, own, principal));
    else {
      const fromError = requestedInit === QUANTISATION_ERROR;
      const startA = fromError
        ? quantisationErrorA(target)
        : requestedInit === INPUT_DIRECTIONS
          ? ({ kind: 'inputs' } as const)
          : initialA(target, init);
      const startB = fromError ? quantisationErrorB(target, own.a) : initialB(target, init, own.a);
      parameters.push({ name: own.a, shape: [rank, width], init: startA, rate: ofA });
      parameters.push({ name: own.b, shape: [out, rank], init: startB, rate: ofB });
    }
    if (own.magnitude)
      parameters.push({
        name: own.magnitude,
        shape: [out],
        init: initialMagnitude(target, own),
        decayed: true,
      });
    if (kind === 'embedding') embeddings.set(name, loraEmbedding(own, target));
    else linears.set(name, (config.use_dora ? doraLinear : loraLinear)(own, target, config.lora_dropout));
    if (kind !== 'embedding' && !config.use_dora && !config.lora_bias)
      lowRank.set(name, { a: own.a, b: own.b, scale, dropout: config.lora_dropout });
    addMerge(merges, `${name}.weight`, mergedWeight(own, target));
    const { bias } = own;
    if (bias) {
      parameters.push({ name: bias, shape: [out], init: initialBias(target, init) });
      addMerge(merges, `${name}.bias`, (before, adapter) =>
        before.map((value, i) => value + scale * adapter(bias)[i]!),
      );
    }
  }
  const experts = new Map<string, ExpertUpdater>();
  for (const target of adapted.experts) {
    const own = expertNames(target);
    parameters.push(...expertParameters(target, own, config.init_lora_weights));
    experts.set(target.name, expertUpdate(target, own));
    addMerge(merges, target.name, mergedExperts(target, own));
  }
  return {
    parameters,
    linears,
    lowRank,
    experts,
    embeddings,
    replacements,
    merges,
    ...(requestedInit === INPUT_DIRECTIONS ? { inputs: inputPass(requested, targets) } : {}),
    ...(config.alora_invocation_tokens ? { activates: true as const } : {}),
    ...(config.lora_dropout > 0 ? { drops: `lora_dropout ${config.lora_dropout}` } : {}),
    ...(principal && {
      derive: (context: LayerContext) =>
        new Map(targets.flatMap((target) => derivedFactors(context, target, loraNames(target, config)))),
    }),
    copies: [
      ...(config.trainable_token_indices === null
        ? embeddingCopies(config.target_modules, names, model)
        : []),
      ...biasCopies(saved, config.bias, model),
    ],
    written: {
      ...publishedLora(config),
      target_modules: adaptsOnlyParameters(config, model) ? null : writtenTargets(config, model),
      fan_in_fan_out: transposedTargets(names, model),
    },
  };
}

function inputPass(config: LoraConfig, targets: LoraTarget[]): InputPass {
  const { rho, tau, use_label_mask: onlyTargets, whiten } = evaOptions(config);
  return {
    modules: new Map(
      targets.map((target) => [target.name, { parameter: loraNames(target, config).a, rank: target.rank }]),
    ),
    meanRank: rho === 1 ? null : config.r,
    onlyTargets,
    similarity: tau,
    whiten,
  };
}

// LoRA on the matrices of all experts, with one A and one B in the files. Source: peft, tuners/lora/layer.py (ParamWrapper).

type Factors = Pick<LoraNames, 'a' | 'b'>;

/** A `(E · rank, width)`, the ranks of an expert side by side, and B `(out, rank · E)`, the experts of a rank side by side. */
function expertParameters(
  { experts, rank, width, out }: ExpertTarget,
  { a, b }: Factors,
  init: LoraConfig['init_lora_weights'],
): AdapterParameter[] {
  const ranks = experts * rank;
  const drawA =
    init === 'gaussian' ? (random: Parameters<typeof normal>[0]) => normal(random) / rank : uniform(width);
  return [
    { name: a, shape: [ranks, width], init: drawn(ranks * width, drawA), rate: 'first' },
    {
      name: b,
      shape: [out, ranks],
      init: init === false ? drawn(out * ranks, uniform(ranks)) : constant(out * ranks, 0),
      rate: 'second',
    },
  ];
}

/** The factors of each expert: A `(E, rank, width)` and B `(E, out, rank)`. */
function expertUpdate({ experts, rank, width, out, scale }: ExpertTarget, names: Factors): ExpertUpdater {
  return ({ parameter }) => ({
    a: tf.reshape(parameter(names.a), [experts, rank, width]),
    b: tf.transpose(tf.reshape(parameter(names.b), [out, rank, experts]), [2, 0, 1]),
    scale,
  });
}

/** The experts' matrices `(E, out, width)` plus `scale · B[e] A[e]`. */
function mergedExperts(target: ExpertTarget, names: Factors): Merge {
  const { experts, rank, width, out } = target;
  return (weight, adapter) => {
    const [a, b] = [adapter(names.a), adapter(names.b)];
    const ownB = new Float32Array(out * rank);
    for (let expert = 0; expert < experts; expert++) {
      for (let i = 0; i < ownB.length; i++) ownB[i] = b[i * experts + expert]!;
      const own = a.subarray(expert * rank * width, (expert + 1) * rank * width);
      const matrix = weight.subarray(expert * out * width, (expert + 1) * out * width);
      addUpdate(matrix, own, ownB, { ...target, transposed: false });
    }
    return weight;
  };
}

/**
 * `base(x) + scale · (dropout(x) Aᵀ) Bᵀ` with A `(r, in)` and B `(out, r)`, plus the update's bias if it has one.
 * Source: Hu et al. 2021, arXiv:2106.09685; peft, tuners/lora/layer.py (Linear.forward).
 */
function loraLinear(names: LoraNames, { scale }: LoraTarget, dropoutProbability: number): LinearWrapper {
  return (context, x, base) => {
    const input = context.random ? dropout(x, dropoutProbability, context.random) : x;
    const update = flowingSum(base(x), updateOf(context, input, names, scale));
    return names.bias ? tf.add(update, tf.mul(context.parameter(names.bias), scale)) : update;
  };
}

/**
 * DoRA: `f ⊙ (W x + scale · B A x) + bias`, where f is the magnitude of each output channel divided by the norm of its row of
 * `W + scale · B A`. With dropout, `base(x) + (f − 1) ⊙ W x̃ + f ⊙ scale · B A x̃` with x̃ = dropout(x), as in PEFT.
 * Source: Liu et al. 2024, arXiv:2402.09353; peft, tuners/lora/dora.py (DoraLinearLayer.forward).
 */
function doraLinear(names: LoraNames, target: LoraTarget, dropoutProbability: number): LinearWrapper {
  return (context, x, base, { product, weight, bias }) => {
    const factors = magnitudeFactors(context, names, target, weight, x);
    if (context.random === undefined || dropoutProbability === 0) {
      const [a, b] = [context.parameter(names.a), context.parameter(names.b)];
      const plain = { weight, bias: null, transposed: target.transposed };
      const sum = scaledColumns(updatedLinear(x, plain, [{ a, b, scale: target.scale, offset: 0 }]), factors);
      return bias ? withBias(sum, weightValue(bias), bias.kind !== 'frozen') : sum;
    }
    const input = dropout(x, dropoutProbability, context.random);
    const correction = scaledColumns(product(input), tf.sub(factors, 1));
    const update = scaledColumns(updateOf(context, input, names, target.scale), factors);
    return flowingSum(flowingSum(base(x), correction), update);
  };
}

/** `scale · (x Aᵀ) Bᵀ`, at active rows. The scale multiplies the narrow product (N, r) instead of the wide one. */
function updateOf(
  { parameter, active }: LayerContext,
  x: tf.Tensor,
  names: LoraNames,
  scale: number,
): tf.Tensor {
  const all = tf.mul(trainedProduct(x, parameter(names.a)), scale);
  const down = active ? activeRows(all, active()) : all;
  return trainedProduct(down, parameter(names.b));
}

/**
 * `base(ids) + scale · Aᵀ[ids] Bᵀ` with A `(r, V)` and B `(H, r)`; with magnitudes the whole sum is multiplied by f `(H)`, as for a
 * linear module whose inputs are the vocabulary. A factor of the module's output multiplies the update, too. Source: peft,
 * tuners/lora/layer.py (Embedding.forward), dora.py (DoraEmbeddingLayer).
 */
function loraEmbedding(names: LoraNames, target: LoraTarget): EmbeddingWrapper {
  return (context, ids, base) => {
    const { parameter, weight } = context;
    const scale = target.scale * target.outputFactor;
    const rows = tf.mul(takeRows(tf.transpose(parameter(names.a)), ids, target.padding), scale); // (N, r)
    const sum = tf.add(base(ids), trainedProduct(rows, parameter(names.b)));
    if (!names.magnitude) return sum;
    return tf.mul(sum, magnitudeFactors(context, names, target, weight(`${target.name}.weight`)!, ids));
  };
}

/**
 * The magnitude of each output channel divided by the norm of its row of `W + scale · B A`, `(out)`. The norm gets no gradient, as
 * section 4.3 of the paper advises and PEFT does. `after`: the weight is read after this tensor.
 */
function magnitudeFactors(
  { parameter }: LayerContext,
  names: LoraNames,
  { scale, transposed }: LoraTarget,
  weight: Weight,
  after: tf.Tensor,
): tf.Tensor {
  const update = { a: parameter(names.a), b: parameter(names.b), scale, transposed };
  const [magnitude, norm] = [parameter(names.magnitude!), updatedNorms(weight, update, after)];
  return customGradient({
    inputs: { magnitude },
    keep: { norm },
    value: () => tf.div(magnitude, norm),
    gradient: (dy, { norm }) => ({ magnitude: tf.div(dy, norm) }),
  });
}
