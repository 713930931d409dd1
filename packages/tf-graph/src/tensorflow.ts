// Loads TensorFlow for Node. Importing this module loads the native library (about 0.4 s), so nothing that must
// stay light may import it. `npm run tensorflow` builds the addon it needs.
import './node-compatibility.ts'; // evaluated before the next line
import * as tf from '@tensorflow/tfjs-node-gpu';
import type { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
import type { TensorMetadata, TFJSBinding } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';

export { tf };

/** What tfjs-node keeps for a tensor: `dtype` is TensorFlow's enum, `values` are set until the first op uploads them. */
interface NativeTensor {
  shape: number[];
  dtype: number;
  id: number;
  values: ArrayLike<number> | null;
  refCount: number;
}

/** tfjs-node's backend with the members this package needs and its types hide. */
export interface NativeBackend extends Omit<NodeJSKernelBackend, 'tensorMap' | 'getInputTensorIds'> {
  tensorMap: tf.DataStorage<NativeTensor>;
  getInputTensorIds(tensors: tf.TensorInfo[]): number[];
}
export type { NodeJSKernelBackend, TensorMetadata };

export const nativeBackend = tf.findBackend('tensorflow') as unknown as NativeBackend;
export const binding: TFJSBinding = nativeBackend.binding;

/** TensorFlow's own version, such as "2.21.0". */
export const tensorflowVersion: string = binding.TF_Version;
