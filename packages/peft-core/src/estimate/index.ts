/** What a job comes to before it runs: size, memory, time. Loads no TensorFlow. */
export type { DataSample, EstimatedJob, ExampleSample, Machine, TrainingEstimate } from './estimate.ts';
export { estimateTraining } from './estimate-training.ts';
