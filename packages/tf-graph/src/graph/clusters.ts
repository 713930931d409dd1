// What XLA makes programs of. A program's kernels are few and large, where each stock operation is one launch or more.
import type { NodeAttr } from './attributes.ts';
import { attr } from './attributes.ts';

/**
 * XLA draws other numbers of the same seeds. Outside its programs a run's random numbers are those of the stock operations, so that
 * both sets learn the same but for rounding.
 */
const DRAWS = new Set(['StatelessRandomUniform']);

let current: string | null = null;

/**
 * Nodes that are traced in `body` are compiled apart from those around it. XLA joins what is computed twice within one program and
 * heeds no control inputs there: a block that is computed again, so that less is in memory, must be in another than the first time.
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

/** Attributes that ask for a node of a compiled program to be in the present cluster, or in `otherwise` outside of all. */
export function clusterAttrs(op: string, otherwise: string): NodeAttr[] {
  if (DRAWS.has(op)) return [];
  return [attr.bool('_XlaCompile', true), attr.string('_XlaScope', current ?? otherwise)];
}
