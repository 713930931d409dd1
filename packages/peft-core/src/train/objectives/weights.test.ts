// Losses of weighted examples are Σ w · l / Σ w, computed here from the losses of single examples. test/golden/weights.test.ts compares
// training with torch.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { type BaseModel, openBaseModel } from '../../files.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { writeTinyModel } from '../../testing/tiny-model.ts';
import { trainOptions, trainRecords } from '../../testing/train-adapter.ts';

const at = tempFolder();
let base: BaseModel;
before(async () => {
  await writeTinyModel(at('model'), {});
  base = await openBaseModel(at('model'));
});
after(() => base.close());

const formats: Record<string, { task_type: string; line: (i: number) => object }> = {
  text: { task_type: 'CAUSAL_LM', line: (i) => ({ text: 'ab ba'.repeat(1 + i) }) },
  classification: { task_type: 'SEQ_CLS', line: (i) => ({ text: 'ab'.repeat(1 + i), label: i % 2 }) },
  pairs: {
    task_type: 'FEATURE_EXTRACTION',
    line: (i) => ({ anchor: `${i} a`, positive: `the same as ${i}` }),
  },
  scored_pairs: {
    task_type: 'FEATURE_EXTRACTION',
    line: (i) => ({ sentence1: `${i} a`, sentence2: `ab ${i}`, score: i / 4 }),
  },
};

/** The loss and accuracy of the first step and of the first evaluation of lines that are training and validation data. */
async function measured(name: string, lines: object[], sets: object[][] = []) {
  const file = at(`${name}.jsonl`);
  await writeFile(file, lines.map((line) => JSON.stringify(line)).join('\n'));
  const { task_type } = formats[name]!;
  const options = trainOptions({
    base,
    trainingFile: file,
    validationFile: file,
    exampleCount: lines.length,
    peft: { peft_type: 'LORA', r: 2, task_type, target_modules: ['q_proj', 'v_proj'] },
    training: { learning_rate: 1e-9, batch_size: lines.length, max_steps: 1, precision: 'fp32' },
    outputDir: at(`${name}-out`),
  });
  const validationFiles = sets.map((_, i) => ({ name: `set${i}`, path: at(`${name}-${i}.jsonl`) }));
  for (const [i, { path }] of validationFiles.entries())
    await writeFile(path, sets[i]!.map((line) => JSON.stringify(line)).join('\n'));
  const several = { validationFile: validationFiles[0]?.path ?? null, validationFiles };
  const records = await trainRecords(sets.length > 0 ? { ...options, ...several } : options);
  const step = records.find((record) => record.type === 'step')!;
  const evaluation = records.findLast((record) => record.type === 'evaluation')!;
  return { step, evaluation };
}

const near = (actual: number, expected: number, what: string) =>
  assert.ok(Math.abs(actual - expected) < 1e-5, `${what}: ${actual}, expected ${expected}`);

const WEIGHTS = [0.5, 4, 1, 10];

for (const [name, { line }] of Object.entries(formats))
  test(`${name}: the losses of a step and of an evaluation are weighted means`, async () => {
    const lines = WEIGHTS.map((_, i) => line(i));
    // All but one example count so little that the loss is that example's own: of pairs, among the texts of all.
    const single: { trained: number; measured: number }[] = [];
    for (let i = 0; i < lines.length; i++) {
      const others = lines.map((each, j) => ({ ...each, weight: j === i ? 10 : 1e-9 }));
      const { step, evaluation } = await measured(name, others);
      single.push({ trained: step.loss, measured: evaluation.loss });
    }
    // A text of n bytes has n targets: all tokens but the first, and the end.
    const targets = lines.map((each) => (name === 'text' && 'text' in each ? String(each.text).length : 1));
    const mean = (weights: number[], losses: number[]) => {
      const shares = weights.map((weight, i) => weight * targets[i]!);
      const sum = shares.reduce((all, share) => all + share, 0);
      return losses.reduce((all, loss, i) => all + (loss * shares[i]!) / sum, 0);
    };
    const weighted = await measured(
      name,
      lines.map((each, i) => ({ ...each, weight: WEIGHTS[i] })),
    );
    const plain = await measured(name, lines);
    near(
      weighted.step.loss,
      mean(
        WEIGHTS,
        single.map(({ trained }) => trained),
      ),
      'step',
    );
    near(
      weighted.evaluation.loss,
      mean(
        WEIGHTS,
        single.map((each) => each.measured),
      ),
      'evaluation',
    );
    assert.ok(Math.abs(weighted.step.loss - plain.step.loss) > 1e-4, 'weights change nothing');
    // Shares of correct targets count each target once.
    assert.equal(weighted.evaluation.tokenAccuracy, plain.evaluation.tokenAccuracy);
  });

test('the loss of several validation files is the weighted mean over all of them', async () => {
  const { line } = formats.classification!;
  const lines = WEIGHTS.map((weight, i) => ({ ...line(i), weight }));
  const { evaluation: whole } = await measured('classification', lines);
  const sets = [lines.slice(0, 1), lines.slice(1)];
  const { evaluation } = await measured('classification', lines, sets);
  near(evaluation.loss, whole.loss, 'evaluation');
  const [first, second] = [0, 1].map((i) => evaluation.metrics[`eval_set${i}_loss`]!);
  near(evaluation.loss, (0.5 * first! + 15 * second!) / 15.5, 'of the sets');
  assert.ok(Math.abs(evaluation.loss - (first! + 3 * second!) / 4) > 1e-4, 'weights change nothing');
});
