/** Estimates of a job before it runs: memory, tokens, steps and time. Loads no TensorFlow. */
export { blockNumbers } from './block-numbers.ts';
export type {
  DataSample,
  EstimatedJob,
  ExampleSample,
  Machine,
  TrainingEstimate,
} from './estimate.ts';
export { estimateSweep } from './estimate-sweep.ts';
export { estimateTraining } from './estimate-training.ts';
export { type FittingChange, fittingChanges } from './fitting-changes.ts';
export { longestOf, SampleGatherer } from './gather-sample.ts';
export { memoryToTrain } from './memory-to-train.ts';
export { type SampledSource, sampleExamples } from './sample-examples.ts';
