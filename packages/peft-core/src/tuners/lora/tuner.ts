import type { Architecture } from '../../models/architecture.ts';
import { embeddingCopies } from '../attach/embedding-copies.ts';
import { addMerge, savedModules } from '../attach/saved-modules.ts';
import { addTokenRows } from '../attach/token-rows.ts';
import { addBiases, biasCopies } from '../matrices/trained-biases.ts';
import { isWithin, transposedTargets, writtenTargets } from '../target-modules.ts';
import type {
  Attachment,
  AttachmentForm,
  EmbeddingWrapper,
  ExpertUpdater,
  InputPass,
  LayerContext,
  LinearWrapper,
  LowRankUpdate,
  Tuner,
} from '../tuner.ts';
import type { LoraConfig } from './config.ts';
import { expertParameters, expertUpdate, mergedExperts } from './experts.ts';
import { withoutFormerNames } from './former-names.ts';
import { initialA, initialB, initialBias, initialMagnitude } from './init.ts';
import { doraLinear, loraEmbedding, loraLinear } from './layer.ts';
import { mergedWeight } from './merge.ts';
import { loraMethod } from './method.ts';
import { evaOptions } from './principal/eva-config.ts';
import { INPUT_DIRECTIONS, QUANTISATION_ERROR, startsFromWeight } from './principal/init-names.ts';
import { publishedLora } from './principal/published.ts';
import { quantisationErrorA, quantisationErrorB } from './principal/start-values.ts';
import { derivedFactors, principalParameters } from './principal/trained-factors.ts';
import {
  expertNames,
  type LoraTarget,
  loraNames,
  loraTargets,
  loraTokenTargets,
  wrappedModules,
} from './targets.ts';

/** Whether only target_parameters names what is adapted: then PEFT writes no target_modules. */
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
