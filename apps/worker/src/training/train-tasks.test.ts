// Every task, and a quantised base: a real trainer on tiny but real models, from the job's row to the published version, whose
// verification shows that the files are the trained model and not the base.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { readMetrics } from '@graft/service/jobs';
import { startJob } from '../testing/start-job.ts';
import { openWorkerBench, type QueueOptions, type WorkerBench } from '../testing/worker-bench.ts';
import { TrainerProcess } from './trainer-process.ts';

let bench: WorkerBench;
let trainer: TrainerProcess;

before(async () => {
  bench = await openWorkerBench(
    {},
    {
      encoder: { model_type: 'bert' },
      translator: {
        model_type: 't5',
        d_model: 32,
        d_kv: 8,
        d_ff: 48,
        num_layers: 2,
        num_heads: 4,
        decoder_start_token_id: 258,
      },
    },
  );
  trainer = new TrainerProcess({
    entry: new URL('./trainer.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: bench.services.log,
    stallMilliseconds: 60_000,
    idleMilliseconds: 60_000,
  });
});
after(async () => {
  await trainer?.close();
  await bench?.close();
});

interface Case extends QueueOptions {
  example(i: number): object;
  /** Names of the task's validation metrics. */
  measures: string[];
  /** Memory limit of the worker. */
  memoryBytes?: number;
}

const textMeasures = ['perplexity', 'token_accuracy'];
const labelMeasures = ['accuracy', 'macro_f1'];
const encoder = { model: 'encoder', peft: { r: 4, target_modules: ['query', 'value'] } };
const pair = (i: number) => ({ anchor: `${i} a`, positive: `${i} is the same` });
const text = (i: number) => ({ text: `Sentence ${i % 4} is like the others.` });

const cases: Record<string, Case> = {
  CAUSAL_LM: { example: text, measures: textMeasures },
  'CAUSAL_LM on a base in nf4': { example: text, training: { base_dtype: 'nf4' }, measures: textMeasures },
  'CAUSAL_LM on a base in int8, with little memory': {
    example: text,
    training: { base_dtype: 'int8' },
    measures: textMeasures,
    memoryBytes: 1e8,
  },
  SEQ_2_SEQ_LM: {
    model: 'translator',
    peft: { r: 4, target_modules: ['q', 'v'] },
    format: 'text_target',
    example: (i) => ({ text: `${i} a`, target: `a ${i % 3}` }),
    measures: textMeasures,
  },
  SEQ_CLS: {
    ...encoder,
    format: 'classification',
    example: (i) => ({ text: 'ab'[i % 2]!.repeat(2 + (i % 5)), label: i % 2 ? 'odd' : 'even' }),
    measures: labelMeasures,
  },
  TOKEN_CLS: {
    ...encoder,
    format: 'token_classification',
    example: (i) => ({ tokens: ['aa', 'bb', `${i}`], labels: ['X', 'Y', 'X'] }),
    measures: labelMeasures,
  },
  FEATURE_EXTRACTION: {
    ...encoder,
    format: 'pairs',
    example: pair,
    training: { mini_batch_size: 3 },
    measures: ['mrr', 'accuracy', 'recall_at_1', 'recall_at_10'],
  },
};

const linesOf = (example: (i: number) => object, count: number) =>
  Array.from({ length: count }, (_, i) => JSON.stringify(example(i))).join('\n');

describe('from row to version', { timeout: 300_000 }, () => {
  for (const [name, { example, measures, memoryBytes, ...options }] of Object.entries(cases)) {
    it(`${name}, with a validation file`, async () => {
      const [task] = name.split(' ');
      const job = await bench.queueJob(linesOf(example, 16), {
        ...options,
        peft: { peft_type: 'LORA', task_type: task, target_modules: ['q_proj', 'v_proj'], ...options.peft },
        training: {
          n_epochs: 2,
          batch_size: 4,
          learning_rate: 0.01,
          max_seq_length: 64,
          eval_steps: 4,
          precision: 'fp32',
          ...options.training,
        },
        validation: linesOf(example, 4),
      });
      const { outcome } = await startJob(bench.services, job, trainer, {
        leaseSeconds: 60,
        ...(memoryBytes && { memoryBytes }),
      });
      assert.equal(await outcome, 'succeeded', JSON.stringify((await bench.job(job.id)).error));

      const { rows } = await bench.services.sql.query(
        'SELECT lineage, artifact, metrics FROM adapter_versions WHERE job_id = $1',
        [job.id],
      );
      assert.equal(rows.length, 1);
      const { lineage, artifact, metrics } = rows[0];
      const { live_loss, reloaded_loss, base_loss, measured_on } = metrics.proof;
      assert.ok(Math.abs(live_loss - reloaded_loss) <= 1e-4, `${live_loss} and ${reloaded_loss}`);
      assert.ok(Math.abs(reloaded_loss - base_loss) > 1e-4, `${reloaded_loss} and ${base_loss}`);
      assert.equal(measured_on, 'validation');
      assert.equal(lineage.peft.task_type, task);
      assert.equal(lineage.training.base_dtype, options.training?.base_dtype ?? 'auto');
      assert.match(lineage.validation_file.sha256, /^[0-9a-f]{64}$/);

      const series = (await readMetrics(bench.services, bench.teamId, job.id, { limit: 1000 })).data;
      const evaluations = series.filter(({ kind }) => kind === 'evaluation');
      assert.deepEqual(Object.keys(metrics.validation), measures);
      assert.deepEqual(
        evaluations.map(({ step }) => step),
        [4, 8],
      );
      const messages = await bench.messages(job.id);
      const card = await readFile(
        join(await bench.services.artifacts.localFolder(artifact), 'README.md'),
        'utf8',
      );
      const dtype = options.training?.base_dtype;
      const trained = evaluations.at(-1)!.loss;
      if (dtype === undefined) {
        assert.equal(trained, metrics.validation_loss);
        assert.ok(!('quantised_validation_loss' in metrics) && !('served_loss' in metrics.proof));
        assert.doesNotMatch(card, /base_dtype|quantised/);
      } else {
        // Curves are measured on the training base; the published metrics on the served base, where the worker can load it.
        const isMeasured = memoryBytes === undefined;
        assert.equal(trained, metrics.quantised_validation_loss);
        assert.equal(metrics.validation_base, isMeasured ? 'served' : dtype);
        assert.equal(metrics.validation.perplexity === metrics.quantised_validation.perplexity, !isMeasured);
        assert.equal(metrics.validation_loss, isMeasured ? metrics.proof.served_loss : trained);
        assert.equal(metrics.validation_loss === trained, !isMeasured);
        const rest = isMeasured ? `\nvalidation_loss: ${metrics.validation_loss}` : '';
        assert.ok(
          card.includes(
            `\nbase_dtype: "${dtype}"\nquantised_validation_loss: ${trained}${rest}\nlibrary_name`,
          ),
          card,
        );
        const row = isMeasured ? `| validation loss | ${metrics.validation_loss.toPrecision(4)} |\n` : '';
        assert.ok(
          card.includes(`${row}| validation loss on the ${dtype} base | ${trained.toPrecision(4)} |`),
          card,
        );
        assert.equal(card.includes('| validation loss | '), isMeasured);
        const expectedMessage = isMeasured
          ? `On the base as it is served the validation loss is ${metrics.validation_loss.toFixed(4)}; on the base in ${dtype}, on which it was trained, it is ${trained.toFixed(4)}`
          : `The figures of this model are those of the base in ${dtype}, on which it was trained: validation loss ${trained.toFixed(4)}. The base as it is served needs more memory than this worker has`;
        assert.ok(messages.includes(expectedMessage), messages.join('\n'));
      }
      assert.ok(evaluations.every(({ loss }) => Number.isFinite(loss)));
      assert.ok(
        messages.some((message) => /^Step 8\/8: validation loss \d/.test(message)),
        messages.join('\n'),
      );
    });
  }
});
