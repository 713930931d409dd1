/** Start values that are computed from the base weight: PiSSA by a singular value decomposition, OLoRA by a QR decomposition. */
export type PrincipalInit = 'pissa' | 'olora' | `pissa_niter_${number}`;

const pattern = /^(pissa(_niter_\d{1,2})?|olora)$/;

/**
 * Checks whether training starts from a part of the base weight, which is subtracted from that weight, so that training starts at the base
 * model. `init` may be any value of `init_lora_weights`.
 */
export function startsFromWeight(init: unknown): init is PrincipalInit {
  return typeof init === 'string' && pattern.test(init);
}

/** LoftQ: the start is the largest part of what quantising the base took from a weight, and nothing is subtracted. */
export const QUANTISATION_ERROR = 'loftq';

/** Checks whether the start values come from a decomposition of a linear layer's matrix: it limits the rank, and needs such a matrix. */
export const isDecomposed = (init: unknown): boolean => startsFromWeight(init) || init === QUANTISATION_ERROR;

/** EVA: A starts at the leading directions of the module's inputs, B at zero, and nothing is subtracted. */
export const INPUT_DIRECTIONS = 'eva';

/** Checks whether only linear layers, and no experts, have such start values. */
export const needsLinear = (init: unknown): boolean => isDecomposed(init) || init === INPUT_DIRECTIONS;

/** The number of power iterations of `pissa_niter_N`; null for an exact decomposition. */
export function powerIterations(init: PrincipalInit): number | null {
  const [, count] = init.split('_niter_');
  return count === undefined ? null : Number(count);
}
