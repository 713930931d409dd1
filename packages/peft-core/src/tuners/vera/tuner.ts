import type { Architecture } from '../../models/architecture.ts';
import { dropout } from '../../nn/dropout.ts';
import { flowingSum } from '../../nn/residual.ts';
import { constant, drawn, normal } from '../attach/start-values.ts';
import { attachMatrices } from '../matrices/attachment.ts';
import { addLowRank } from '../matrices/merged-products.ts';
import type { MatrixTarget } from '../matrices/targets.ts';
import { transposedTargets } from '../target-modules.ts';
import type { AdapterParameter, Attachment, LinearWrapper, Merge, Tuner } from '../tuner.ts';
import { factorA, factorB, type Projections } from './low-rank.ts';
import { type VeraConfig, veraMethod } from './method.ts';
import { projected } from './projected.ts';
import { drawProjections } from './projections.ts';
import { projectionKeys, projectionShapes, type SharedSizes, sharedSizes, vectorNames } from './tensors.ts';

/** VeRA: trained vectors between frozen random projections. Options, names and start values follow peft's VeraConfig. */
export const veraTuner: Tuner<VeraConfig> = {
  keyPrefix: 'base_model.model.',
  keys: projectionKeys,
  attach,
};

function attach(config: VeraConfig, model: Architecture): Attachment {
  const targets = veraMethod.targets(config, model);
  const sizes = sharedSizes(config.r, targets);
  // Drawn once, if at all: files have them unless save_projection is false.
  let own: Projections | null = null;
  const draw = () => {
    own ??= drawProjections(config.projection_prng_key, sizes);
    return own;
  };
  const attachment = attachMatrices(
    veraMethod,
    config,
    model,
    (target) => ({
      parameters: vectorParameters(target, config),
      linear: withUpdate(target, config.vera_dropout),
      merge: merged(target, sizes, config.save_projection ? null : draw),
    }),
    ['vera_dropout'],
  );
  const { a, b } = projectionShapes(sizes);
  const projection = (name: string, shape: number[], values: () => Float32Array): AdapterParameter => ({
    name,
    shape,
    constant: true,
    ...(config.save_projection ? {} : { unsaved: true }),
    init: { kind: 'draw', draw: values },
  });
  attachment.parameters.push(
    projection('vera_A', a, () => draw().a),
    projection('vera_B', b, () => draw().b),
  );
  const names = targets.map(({ name }) => name);
  return {
    ...attachment,
    written: {
      ...attachment.written,
      fan_in_fan_out: transposedTargets(names, model),
    } as Attachment['written'] & object,
  };
}

/** Source: peft, tuners/vera/layer.py (update_layer, reset_vera_parameters). */
function vectorParameters(
  target: MatrixTarget,
  { r, d_initial, init_weights: init }: VeraConfig,
): AdapterParameter[] {
  const { d, b } = vectorNames(target);
  return [
    { name: d, shape: [r], init: init ? constant(r, d_initial) : drawn(r, normal) },
    { name: b, shape: [target.out], init: constant(target.out, init ? 0 : 1) },
  ];
}

/** `base(x) + λb ∘ ((λd ∘ (dropout(x) Aᵀ)) Bᵀ)`. */
function withUpdate(target: MatrixTarget, probability: number): LinearWrapper {
  const { d, b } = vectorNames(target);
  return ({ parameter, random }, x, base) => {
    const input = random ? dropout(x, probability, random) : x;
    const parts = {
      a: parameter('vera_A'),
      b: parameter('vera_B'),
      rows: parameter(d),
      outputs: parameter(b),
    };
    return flowingSum(base(x), projected(input, parts));
  };
}

/** `draw`: draws projections that the files leave out. */
function merged(target: MatrixTarget, sizes: SharedSizes, draw: (() => Projections) | null): Merge {
  const { d, b } = vectorNames(target);
  return (weight, adapter) => {
    const projections = draw?.() ?? { a: adapter('vera_A'), b: adapter('vera_B') };
    const left = factorB(adapter(b), projections, sizes);
    addLowRank(weight, left, factorA(adapter(d), projections, sizes, target), target);
    return weight;
  };
}
