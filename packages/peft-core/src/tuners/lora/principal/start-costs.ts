import type { ModelOutline } from '../../../outlines/outline.ts';
import type { StartCosts } from '../../method.ts';
import type { LoraConfig } from '../config.ts';
import { type LoraTarget, loraTargets } from '../targets.ts';
import { isDecomposed, powerIterations, QUANTISATION_ERROR, startsFromWeight } from './init-names.ts';

const FLOAT = 4;

/**
 * Work of a singular value decomposition for each out · width · min(out, width), and of an operation of the narrow products of its
 * approximation, in operations of large products of matrices: measured from 512 × 512 to 768 × 1536, and with 2048 × 2048.
 */
const WORK = { decomposition: 180, narrow: 14 };

/** Memory and work of start values from decompositions of base weights. Null: they are drawn. */
export function startCosts(config: LoraConfig, model: ModelOutline): StartCosts | null {
  const { init_lora_weights: init } = config;
  if (!isDecomposed(init)) return null;
  const { targets } = loraTargets(config, model);
  const costs = targets.map((target) => costsOf(target, init as string));
  return {
    bytes: Math.max(...costs.map(({ bytes }) => bytes)),
    work: costs.reduce((sum, { work }) => sum + work, 0),
  };
}

/** Costs of one module: its weight on the host and as a tensor, both again where it is transposed or quantised, and the decomposition. */
function costsOf({ out, width, rank, transposed }: LoraTarget, init: string): StartCosts {
  const numbers = out * width;
  const fromError = init === QUANTISATION_ERROR;
  // The quantised values on the host and as a tensor, and the difference.
  const held = numbers * (1 + (transposed ? 1 : 0) + (fromError ? 3 : 0));
  const iterations = startsFromWeight(init) ? powerIterations(init) : null;
  if (fromError || init === 'pissa') {
    const rankOfAll = Math.min(out, width);
    return {
      bytes: FLOAT * (held + decompositionNumbers(out, width)),
      work: WORK.decomposition * numbers * rankOfAll,
    };
  }
  // Bases of the inputs and outputs: before, after and while they are made orthonormal.
  const narrow = 3 * rank * (out + width) + (iterations === null ? 0 : decompositionNumbers(rank, width));
  const products = iterations === null ? 1 : 2 * iterations + 2;
  return { bytes: FLOAT * (held + numbers + narrow), work: WORK.narrow * products * 2 * numbers * rank };
}

/**
 * Numbers that exist at a time while TensorFlow decomposes a matrix with the input: of its size the input, Eigen's copies of it for the
 * decomposition by columns, and both bases; and squares of the smaller side for the recursion.
 */
function decompositionNumbers(out: number, width: number): number {
  return 6 * out * width + 7 * Math.min(out, width) ** 2;
}
