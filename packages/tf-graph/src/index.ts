// TensorFlow for Node, and tf.function for TensorFlow.js: programs of plain tfjs code, traced once to a graph.
export { type Attr, attr } from './attributes.ts';
export { type CustomGradient, customGradient, type Gradients, type NamedTensors } from './custom-gradient.ts';
export type { DType, TypedArray } from './dtypes.ts';
export { nestedGrads, withNestedGradients } from './nested-gradients.ts';
export type {
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
} from './program.ts';
export { scalarOf } from './program.ts';
export { ProgramBuilder } from './program-builder.ts';
export { cast, isTracing, rawOp, storageOf, withControlDependency } from './raw-op.ts';
export { tensorflowVersion, tf } from './tensorflow.ts';
