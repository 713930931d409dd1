import { nodeOf, type RecordedFunction, type RecordedNode } from './recording.ts';

/** Ops that are never merged: they are fed, hold a value, or read a value that may change. */
const STATEFUL = /^(Placeholder|VarHandleOp|ReadVariableOp|Assign|Resource|Random|Graft)/;

/**
 * Merges nodes that compute the same, with the same op, inputs, attributes and control inputs, as TensorFlow does before it runs a graph.
 */
export function mergeEqual(fn: RecordedFunction): RecordedFunction {
  const known = new Map<string, string>();
  /** The node that replaces each node. */
  const names = new Map<string, string>();
  const mergedRef = (ref: string) => {
    const node = nodeOf(ref);
    return names.get(node)! + ref.slice(node.length);
  };
  const nodes: RecordedNode[] = [];
  for (const node of fn.nodes) {
    const inputs = node.inputs.map(mergedRef);
    const controls = [...new Set(node.controls.map((name) => names.get(name)!))];
    const own = { ...node, inputs, controls };
    const key = STATEFUL.test(node.op) || node.op === 'Const' ? node.name : keyOf(own);
    const same = known.get(key);
    names.set(node.name, same ?? node.name);
    if (same) continue;
    known.set(key, node.name);
    nodes.push(own);
  }
  return { ...fn, nodes, fetches: fn.fetches.map(mergedRef) };
}

const keyOf = ({ op, inputs, controls, attrs }: RecordedNode): string =>
  JSON.stringify([op, inputs, [...controls].sort(), attrs]);
