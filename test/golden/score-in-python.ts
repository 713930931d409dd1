import type { TaskType } from '@graft/peft-core/outlines';
import { runPythonJson } from '../../scripts/golden/environment/run-python.ts';
import type { Probe } from './matrix/probes.ts';

export type PythonScore = {
  /** How an adapter's file differs from what PEFT itself would write; null for a base model. */
  mismatch: { missing: string[]; unexpected: string[]; shapes: string[]; values: string[] } | null;
  /** For other tasks than CAUSAL_LM logits or embeddings, flat. */
  logprobs: number[][];
  /** What follows the first input when the likeliest token is taken each time. */
  greedy: number[];
};

/** A run of score.py; the model is a HF folder or GGUF file. */
export interface PythonScoreRun {
  model: string;
  adapter: string | null;
  inputs: Probe[];
  /** CAUSAL_LM by default. */
  task?: TaskType;
  /** False for a model that does not generate. */
  greedy?: boolean;
  /** Of a head that only the adapter has. */
  num_labels?: number;
}

/** Scores by transformers and PEFT, all in one Python process. */
export function scoreInPython(runs: PythonScoreRun[]): Promise<PythonScore[]> {
  return runPythonJson<PythonScore>('score.py', [], { runs });
}
