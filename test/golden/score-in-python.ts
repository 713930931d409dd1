import { runPythonJson } from '../../scripts/golden/run-python.ts';

export type PythonScore = {
  /** How an adapter's file differs from what PEFT itself would write; null for a base model. */
  mismatch: { missing: string[]; unexpected: string[]; shapes: string[]; values: string[] } | null;
  logprobs: number[][];
  /** What follows the first input when the likeliest token is taken each time. */
  greedy: number[];
};

/** Log-probabilities by transformers and PEFT, all in one Python process; the model is a HF folder or GGUF file. */
export function scoreInPython(
  runs: { model: string; adapter: string | null; inputs: number[][] }[],
): Promise<PythonScore[]> {
  return runPythonJson<PythonScore>('score.py', [], { runs });
}
