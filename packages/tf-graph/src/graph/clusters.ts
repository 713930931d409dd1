// Clusters that XLA compiles to programs. A program has few, large kernels, while each stock operation has at least one launch.
import type { NodeAttr } from './attributes.ts';
import { attr } from './attributes.ts';

/**
 * Ops that are not compiled. XLA draws other random numbers for the same seeds: outside its programs the random numbers of a run are those of
 * the stock operations, so that both kernel sets train identically up to rounding. It decomposes matrices by slower algorithms.
 */
const NOT_COMPILED = new Set(['StatelessRandomUniform', 'Qr', 'Svd']);

let current: string | null = null;

/**
 * Compiles nodes traced in `body` separately from those around it. Within one program, XLA merges duplicate computations and ignores
 * control inputs: a block that is recomputed to save memory must be in a different cluster than the first computation.
 */
export function withinCluster<T>(name: string, body: () => T): T {
  const outer = current;
  current = name;
  try {
    return body();
  } finally {
    current = outer;
  }
}

/** Attributes that assign a compiled node to the current cluster, or to `otherwise` outside of clusters. */
export function clusterAttrs(op: string, otherwise: string): NodeAttr[] {
  if (NOT_COMPILED.has(op)) return [];
  return [attr.bool('_XlaCompile', true), attr.string('_XlaScope', current ?? otherwise)];
}
