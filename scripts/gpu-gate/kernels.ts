/** Kernels of TensorFlow's CUDA build on a GPU, from the data that registry/dump.py wrote. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type DType, dtypeOfCode, type RecordedNode, signatureOf } from '@graft/tf-graph';

/** The version that registry/ describes. */
export const registryVersion = '2.21.0';

/** Types by attribute, and the arguments that lie in the host's memory. */
type Kernel = [types: Record<string, DType[]>, host: string[]];

const registry = JSON.parse(
  readFileSync(join(import.meta.dirname, `registry/tensorflow-${registryVersion}.json`), 'utf8'),
) as Record<string, Kernel[]>;

/** TF_ATTR_TYPE of c_api.h. */
const TYPE = 4;

/** Types of a node's attributes, those that it leaves out with their defaults. */
export function typesOf(node: Pick<RecordedNode, 'op' | 'attrs'>): Map<string, DType> {
  const types = new Map(signatureOf(node.op).defaults);
  for (const attr of node.attrs)
    if ('type' in attr && attr.type === TYPE && typeof attr.value === 'number')
      types.set(attr.name, dtypeOfCode(attr.value));
  return types;
}

/** Arguments in the host's memory, of the kernel that computes such a node on a GPU; null where there is none. */
export function hostArguments(op: string, types: ReadonlyMap<string, DType>): ReadonlySet<string> | null {
  const fits = ([wanted]: Kernel) =>
    Object.entries(wanted).every(([name, allowed]) => allowed.includes(types.get(name)!));
  const kernel = registry[op]?.find(fits);
  return kernel ? new Set(kernel[1]) : null;
}
