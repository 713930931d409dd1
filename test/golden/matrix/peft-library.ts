import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';
import { checkFiles } from './adapter-files.ts';
import { exceptions } from './exceptions.ts';
import type { Library } from './library.ts';
import { methods } from './methods.ts';

/** HF PEFT, on transformers' models. */
export const peftLibrary: Library = {
  name: 'HF PEFT',
  methods,
  reasons: exceptions,
  make: ({ models, adapters }) =>
    runPythonJson('matrix_models.py', [], {
      keep_going: true,
      models,
      adapters: adapters.map(({ cell, ...adapter }) => ({
        ...adapter,
        task: cell.architecture.task,
        config: cell.config,
        seed: cell.seed,
      })),
    }),
  train: (runs) =>
    runPythonJson('train.py', [], {
      keep_going: true,
      runs: runs.map(({ cell, ...run }) => ({ ...run, task: cell.architecture.task, config: cell.config })),
    }),
  score: (runs) =>
    runPythonJson('score.py', [], { keep_going: true, runs: runs.map((run) => ({ ...run, greedy: false })) }),
  training: () => ({}),
  gradientLimit: ({ architecture }) => (architecture.corners ? 0.03 : 0.01),
  checkFiles,
};
