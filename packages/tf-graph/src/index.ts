// TensorFlow for Node, and tf.function for TensorFlow.js: programs of plain tfjs code, traced once to a graph.

export { collectGarbage } from './collect-garbage.ts';
export { bytesOf, type DType, dtypeOfCode, type TypedArray } from './dtypes.ts';
export {
  type CustomGradient,
  customGradient,
  type Gradients,
  type NamedTensors,
} from './gradients/custom-gradient.ts';
export { nestedGrads, withNestedGradients } from './gradients/nested-gradients.ts';
export { type Attr, attr } from './graph/attributes.ts';
export { withinCluster } from './graph/clusters.ts';
export { type LiveMemory, type LiveTensor, liveMemory } from './graph/live-memory.ts';
export {
  nodeOf,
  type RecordedFunction,
  type RecordedNode,
  type RecordedOutput,
  recordFunctions,
} from './graph/recording.ts';
export {
  compilesOperations,
  kernelSet,
  kernelSets,
  multipliesBfloat16,
  useKernels,
  usesGpu,
  usesGraftKernels,
} from './kernels.ts';
export { type Argument, type Signature, signatureOf } from './ops/op-signature.ts';
export { cast, isTracing, rawOp, storageOf, withControlDependency } from './ops/raw-op.ts';
export { VaryingSizeError } from './ops/varying-size.ts';
export type {
  Filling,
  GatherOptions,
  InputSpec,
  InputSpecs,
  InputTensors,
  OutputTensors,
  Program,
  ProgramFunction,
  ReadOptions,
  RunOutput,
  RunOutputs,
  Variable,
  VariableSpec,
} from './program/program.ts';
export { scalarOf } from './program/program.ts';
export { ProgramBuilder } from './program/program-builder.ts';
export { releaseMemory, tensorflowVersion, tf } from './tensorflow.ts';
