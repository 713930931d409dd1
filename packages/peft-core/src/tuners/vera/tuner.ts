import { customGradient, nestedGrads, tf, withControlDependency } from '@graft/tf-graph';
import type { Architecture } from '../../models/architecture.ts';
import { dropout } from '../../nn/dropout.ts';
import { flowingMatmul } from '../../nn/matmul.ts';
import { flowingSum } from '../../nn/residual.ts';
import { scaledColumns } from '../../nn/scaled-columns.ts';
import { constant, drawn, normal } from '../attach/start-values.ts';
import { attachMatrices } from '../matrices/attachment.ts';
import { addLowRank } from '../matrices/merged-products.ts';
import type { MatrixTarget } from '../matrices/targets.ts';
import { transposedTargets } from '../target-modules.ts';
import type { AdapterParameter, Attachment, LinearWrapper, Merge, Tuner } from '../tuner.ts';
import { factorA, factorB, type Projections } from './low-rank.ts';
import { type VeraConfig, veraMethod } from './method.ts';
import { drawProjections } from './projections.ts';
import { projectionKeys, projectionShapes, type SharedSizes, sharedSizes, vectorNames } from './tensors.ts';

/** VeRA: trained vectors between frozen random projections. Options, names and start values follow peft's VeraConfig. */
export const veraTuner: Tuner<VeraConfig> = { keyPrefix: 'base_model.model.', keys: projectionKeys, attach };

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

/** The parts of an update: the projections A `(rank, ≥ in)` and B `(≥ out, rank)`, which get no gradient, and the trained vectors. */
interface UpdateParts {
  a: tf.Tensor;
  b: tf.Tensor;
  /** `(rank)` */
  rows: tf.Tensor;
  /** `(out)` */
  outputs: tf.Tensor;
}

/**
 * `λb ∘ ((λd ∘ (x Aᵀ)) Bᵀ)`: x `(N, in)` → `(N, out)`, with the first columns of A and rows of B. Keeps x Aᵀ; the backward pass computes
 * the product with B again instead of keeping it. Source: Kopiczko et al. 2023, arXiv:2310.11454; peft, tuners/vera/layer.py.
 */
function projected(x: tf.Tensor, { a, b, rows, outputs }: UpdateParts): tf.Tensor {
  const [width, out] = [x.shape[1]!, outputs.shape[0]!];
  const usedRows = (b: tf.Tensor) => firstRows(b, out);
  let narrow: tf.Tensor;
  return customGradient({
    inputs: { x, rows, outputs },
    keep: () => ({ narrow, rows, outputs, a, b }),
    value() {
      narrow = flowingMatmul(x, firstColumns(a, width), false, true); // (N, rank)
      return scaledColumns(flowingMatmul(scaledColumns(narrow, rows), usedRows(b), false, true), outputs);
    },
    gradient(dy, kept) {
      const narrow = withControlDependency(kept.narrow, dy);
      const wide = flowingMatmul(scaledColumns(narrow, kept.rows), usedRows(kept.b), false, true); // (N, out)
      const [dWide, dOutputs] = nestedGrads(scaledColumns)([wide, kept.outputs], dy);
      const dScaled = flowingMatmul(dWide!, usedRows(kept.b)); // (N, rank)
      const [dNarrow, dRows] = nestedGrads(scaledColumns)([narrow, kept.rows], dScaled);
      return { x: flowingMatmul(dNarrow!, firstColumns(kept.a, width)), rows: dRows!, outputs: dOutputs! };
    },
  });
}

const firstColumns = (matrix: tf.Tensor, count: number): tf.Tensor =>
  matrix.shape[1] === count ? matrix : tf.slice(matrix, [0, 0], [-1, count]);

const firstRows = (matrix: tf.Tensor, count: number): tf.Tensor =>
  matrix.shape[0] === count ? matrix : tf.slice(matrix, [0, 0], [count, -1]);
