// Loads TensorFlow for Node. Importing this module loads the native library (about 0.4 s), so modules that must stay light must not import
// it. `npm run tensorflow` builds the addon it needs.
import './kernel-gradients.ts';
import { createRequire } from 'node:module';
import util from 'node:util';
import * as tf from '@tensorflow/tfjs-core';
import type { NodeJSKernelBackend } from '@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js';
import type { TensorMetadata, TFJSBinding } from '@tensorflow/tfjs-node-gpu/dist/tfjs_binding.js';
import { roundBy } from './bfloat16.ts';

// tfjs-node 4.22 calls util.isNullOrUndefined, which Node 23 removed.
const legacy = util as unknown as { isNullOrUndefined?: (value: unknown) => boolean };
legacy.isNullOrUndefined ??= (value) => value === null || value === undefined;

// TensorFlow logs its CPU features and warnings to stderr at levels 0 and 1. Errors are still thrown as exceptions.
process.env.TF_CPP_MIN_LOG_LEVEL ??= '2';

const require = createRequire(import.meta.url);
// tfjs-node requires all of tfjs, including layers and WebGL, but only uses its core. Providing only the core halves the start-up time and
// saves 85 MB per process.
const wholeOfTfjs = require.resolve('@tensorflow/tfjs');
require.cache[wholeOfTfjs] ??= {
  id: wholeOfTfjs,
  filename: wholeOfTfjs,
  loaded: true,
  exports: tf,
} as NodeModule;
require('@tensorflow/tfjs-node-gpu/dist/register_all_kernels.js');
const addon = require('@tensorflow/tfjs-node-gpu/lib/napi-v8/tfjs_binding.node');
const { NodeJSKernelBackend: Backend } = require('@tensorflow/tfjs-node-gpu/dist/nodejs_kernel_backend.js');
tf.registerBackend('tensorflow', () => new Backend(addon, '@tensorflow/tfjs-node-gpu'));
if (!tf.setBackend('tensorflow')) throw new Error('TensorFlow could not be initialised');

export { tf };

/** Data that tfjs-node keeps for a tensor: `dtype` is TensorFlow's enum; `values` is set until the first op uploads them. */
interface NativeTensor {
  shape: number[];
  dtype: number;
  id: number;
  values: ArrayLike<number> | null;
  refCount: number;
}

/** tfjs-node's backend with the members that this package needs and its types hide. */
export interface NativeBackend extends Omit<NodeJSKernelBackend, 'tensorMap' | 'getInputTensorIds'> {
  tensorMap: tf.DataStorage<NativeTensor>;
  getInputTensorIds(tensors: tf.TensorInfo[]): number[];
}
export type { NodeJSKernelBackend, TensorMetadata };

export const nativeBackend = tf.findBackend('tensorflow') as unknown as NativeBackend;
export const binding: TFJSBinding = nativeBackend.binding;

/** Type (TensorFlow's number) and shape that TensorFlow infers for a node's output; -1 is an unknown size. */
export interface InferredOutput {
  dtype: number;
  shape: number[] | null;
}

/** Functions that native/session.cc adds to tfjs-node's addon. Sessions and feeds are opaque; names are "node:output". */
interface NativeSessions {
  createSession(): object;
  addNode(
    session: object,
    op: string,
    name: string,
    inputs: readonly (string | readonly string[])[],
    attributes: readonly object[],
  ): InferredOutput[];
  /** Returns an OpDef message (op_def.proto). */
  opDefinition(op: string): Uint8Array;
  createFeed(dtype: number, shape: number[], data: ArrayBufferView): object;
  /** A feed of zeros, and its memory, which must be sealed before the feed is passed to a run or deleted. */
  openFeed(dtype: number, shape: number[]): { feed: object; memory: ArrayBuffer };
  /** Detaches the memory of a feed. */
  sealFeed(memory: ArrayBuffer): void;
  deleteFeed(feed: object): void;
  runSession(
    session: object,
    names: string[],
    feeds: object[],
    fetches: string[],
    inCaller: boolean,
    into: ArrayBufferView | null,
  ): { dtype: number; shape: number[]; data: ArrayBuffer }[];
  /** Runs with RunOptions and returns the RunMetadata (config.proto). */
  traceSession(
    session: object,
    names: string[],
    feeds: object[],
    fetches: string[],
    options: Uint8Array,
  ): ArrayBuffer;
  prepareSession(session: object, names: string[], feeds: object[], fetches: string[]): Promise<void>;
  closeSession(session: object): void;
  /** Registers Graft's kernels with TensorFlow, and returns their instruction sets, best first. Throws if there are none. */
  loadKernels(): string;
  /** Selects one of those sets; not while a session runs. */
  useKernels(set: string): void;
  /** Drops the pages that loading the library touched, and trims the heap. */
  releaseMemory(): void;
  /** See `toBfloat16`. */
  roundToBfloat16(values: Float32Array, out: Uint16Array): void;
}
export const sessions = addon as NativeSessions;

/** TensorFlow's own version, such as "2.21.0". */
export const tensorflowVersion: string = binding.TF_Version;

/**
 * Returns memory to the system that loading TensorFlow and building programs used and that no step needs: about 250 MB. Takes some
 * milliseconds.
 */
export const releaseMemory = (): void => sessions.releaseMemory();

releaseMemory();
roundBy((values, out) => sessions.roundToBfloat16(values, out));
