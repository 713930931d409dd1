import { placementOf } from './placement.ts';
import type { Found } from './report.ts';
import { functionsOf, type GraphCase } from './testing/graphs.ts';

/** Findings in each function of a case; one that cannot be traced is a fault, too, and leaves the others to be read. */
export async function readCase(each: GraphCase): Promise<Found[]> {
  try {
    const functions = await functionsOf(each);
    return functions.map((fn) => ({ ...placementOf(fn), case: each.name, function: fn.name }));
  } catch (error) {
    const text = (error as Error).message;
    const fault = { kind: 'not traced', node: '', op: 'graph', text } as const;
    return [{ case: each.name, function: '', faults: [fault], nodes: 0, launches: 0, copies: 0 }];
  }
}
