import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type PeftConfig, parsePeftConfig } from '@graft/peft-core/config';
import { runPythonJson } from '../../../scripts/golden/environment/run-python.ts';
import { adaptersMethods } from './adapters-methods.ts';
import { architectures } from './architectures.ts';
import type { Cell } from './cells.ts';
import { exceptions } from './exceptions.ts';
import type { Library } from './library.ts';

const inLibrary = <T>(plan: Record<string, unknown>) =>
  runPythonJson<T>('adapters_library.py', [], { keep_going: true, ...plan }, { library: 'adapters' });

/** BnConfig's fields, and `preset`. */
const libraryConfig = ({ config: { peft_type: _, task_type: __, ...fields } }: Cell) => fields;

/** The `adapters` library, on transformers' models. */
export const adaptersLibrary: Library = {
  name: 'adapters',
  methods: adaptersMethods,
  reasons: exceptions,
  make: ({ models, adapters }) =>
    inLibrary({
      models,
      adapters: adapters.map(({ cell, ...adapter }) => ({
        ...adapter,
        task: cell.architecture.task,
        config: libraryConfig(cell),
        seed: cell.seed + 10 * architectures.indexOf(cell.architecture),
      })),
    }),
  train: (runs) =>
    inLibrary({ trainings: runs.map(({ cell, ...run }) => ({ ...run, task: cell.architecture.task })) }),
  score: (scores) => inLibrary({ scores }),
  training: ({ method }) => ({ gradient_checkpointing: method.variant === true }),
  gradientLimit: ({ config }) => {
    const { non_linearity } = parsePeftConfig(config) as PeftConfig<'BOTTLENECK'>;
    // Finite differences step over the bend of a relu here and there.
    return non_linearity.endsWith('relu') ? 0.1 : 0.01;
  },
  checkFiles(check, { graft, library }) {
    check("Graft's JSON files are the library's, byte for byte", async () => {
      const names = (await readdir(graft)).filter((name) => name.endsWith('.json'));
      for (const name of names) {
        const expected = await readFile(join(library, name), 'utf8');
        const written: string = await readFile(join(graft, name), 'utf8');
        assert.equal(written, expected.replace('"name": "reference"', '"name": "graft"'), name);
      }
      assert.ok(names.includes('adapter_config.json'));
    });
  },
};
