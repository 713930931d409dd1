import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formats as dataFormats } from '../examples/index.ts';
import { preferenceMethods } from '../lists.ts';
import { TASK_TYPES } from '../outlines/outline.ts';
import { checkObjectiveOptions } from './check-options.ts';
import { macroF1 } from './classification/objective.ts';
import { correlation, ranks } from './cosine/objective.ts';
import { f1OfSets } from './label-sets/objective.ts';
import {
  bestMetricOf,
  bestMetrics,
  isGreaterBetter,
  metricColumns,
  metricsOf,
  namesOfColumns,
} from './metrics.ts';
import {
  checkMethodTask,
  listedObjectives,
  namedMethod,
  objectiveFor,
  objectiveOf,
  trainingMethods,
} from './objectives.ts';

const near = (found: number, expected: number) => assert.ok(Math.abs(found - expected) < 1e-9, `${found}`);

test('macro F1 is the mean over all classes that are wanted or predicted', () => {
  // Class 0: 2 hits of 3 wanted and 2 predicted; class 1: 1 of 1 and 2; class 2: 0 of 1 and 0; class 3: 0 of 0 and 1.
  near(macroF1([0, 0, 0, 1, 2], [0, 0, 3, 1, 1]), (4 / 5 + 2 / 3 + 0 + 0) / 4);
  near(macroF1([1, 0], [1, 0]), 1);
});

test('of texts with several labels F1 is that of all classes together, and the mean of each', () => {
  // f1_score([[1, 0, 0], [1, 1, 0], [0, 0, 0]], [[1, 1, 0], [1, 0, 0], [0, 0, 0]], average=…, zero_division=0) of scikit-learn
  const { micro, macro } = f1OfSets([1, 0, 0, 1, 1, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0, 0, 0], 3);
  near(micro, 2 / 3);
  near(macro, 1 / 3);
});

test('ranks share their places among equals', () => {
  assert.deepEqual(ranks([0.5, 0.1, 0.5, 0.9]), [2.5, 1, 2.5, 4]);
});

test('correlations: straight, reversed, and none to speak of', () => {
  near(correlation([1, 2, 3], [10, 20, 30]), 1);
  near(correlation([1, 2, 3], [3, 2, 1]), -1);
  // Anscombe's first data set, 1973.
  const x = [10, 8, 13, 9, 11, 14, 6, 4, 12, 7, 5];
  const y = [8.04, 6.95, 7.58, 8.81, 8.33, 9.96, 7.24, 4.26, 10.84, 4.82, 5.68];
  assert.ok(Math.abs(correlation(x, y) - 0.81642) < 1e-5);
  assert.equal(correlation([1, 1], [0, 1]), 0);
});

const outcome = {
  loss: 2,
  weight: 2,
  accuracy: 0.5,
  wanted: [0, 1],
  predicted: [0, 0],
  classes: 2,
  means: {},
};

test('each objective has its own metrics', () => {
  const names = (name: Parameters<typeof metricsOf>[0]) =>
    Object.keys(metricsOf(name, 'evaluation', outcome));
  assert.deepEqual(names('next_token'), ['token_accuracy', 'perplexity']);
  assert.deepEqual(names('classification'), ['accuracy', 'macro_f1']);
  assert.deepEqual(names('label_sets'), ['accuracy', 'micro_f1', 'macro_f1']);
  assert.deepEqual(names('contrastive'), ['accuracy'], 'measured by batches');
  assert.deepEqual(names('cosine'), ['pearson', 'spearman']);
  const means = { among_ten: 0.75, reciprocal_rank: 0.6 };
  assert.deepEqual(metricsOf('contrastive', 'evaluation', { ...outcome, means }), {
    accuracy: 0.5,
    recall_at_1: 0.5,
    recall_at_10: 0.75,
    mrr: 0.6,
  });
  near(metricsOf('next_token', 'evaluation', outcome).perplexity!, Math.exp(2));
});

test('every format and task has an objective, and every name is used once', () => {
  const formats = new Set(listedObjectives.flatMap((each) => each.formats));
  assert.deepEqual([...formats].sort(), [...dataFormats.map(({ name }) => name)].sort());
  for (const task of TASK_TYPES) assert.ok(objectiveFor(task).tasks.includes(task), task);
  for (const { name, metrics } of listedObjectives) {
    const names = metrics.map((metric) => metric.name);
    assert.equal(new Set(names).size, names.length, name);
    for (const metric of metrics)
      if (metric.forBestModel && metric.field !== 'token_accuracy')
        assert.equal(
          namesOfColumns.get(metric.column!),
          metric.name,
          'a resumed run knows its earlier values',
        );
  }
  assert.equal(trainingMethods[0], 'supervised', 'OpenAI’s default');
  for (const { method } of listedObjectives) assert.ok(trainingMethods.includes(method), method);
});

test('the method is named where it is not the default of the format', () => {
  assert.equal(objectiveOf('pairs').name, 'contrastive');
  assert.equal(objectiveOf('scored_pairs', 'supervised').name, 'cosine');
  assert.throws(() => objectiveOf('pairs', 'dpo'), { code: 'unsupported_method', param: 'method.type' });
  assert.throws(() => objectiveOf('chat', 'dpo'), {
    message:
      'method.type: "dpo" does not train on lines of the format chat; use supervised, or a file with lines of the format preference',
  });
  assert.throws(() => objectiveOf('preference', 'supervised'), { message: /use dpo or orpo or / });
  assert.equal(objectiveOf('preference').name, 'dpo');
  assert.equal(objectiveOf('unpaired_preference').name, 'kto');
  checkMethodTask('supervised', 'SEQ_CLS');
  assert.throws(() => checkMethodTask('dpo', 'SEQ_CLS'), {
    param: 'method.type',
    message:
      'method.type: "dpo" trains with task_type CAUSAL_LM, and peft.task_type is SEQ_CLS; use the method supervised',
  });
  assert.equal(objectiveFor('FEATURE_EXTRACTION').name, 'contrastive');
  assert.equal(objectiveFor('FEATURE_EXTRACTION', 'scored_pairs').name, 'cosine');
  assert.equal(objectiveFor('CAUSAL_LM', 'text', 'dpo').name, 'dpo', 'read from other columns');
  assert.equal(objectiveFor('SEQ_CLS', 'pairs').name, 'classification', 'the format is not of the task');
  assert.equal(namedMethod('pairs', 'supervised'), undefined);
  assert.equal(namedMethod(null, 'supervised'), undefined);
  assert.equal(namedMethod('pairs', 'dpo'), 'dpo');
});

test('the best model is chosen by the loss, or by a metric that the objective measures', () => {
  assert.deepEqual(bestMetrics.slice(0, 5), [
    'eval_loss',
    'eval_accuracy',
    'eval_recall_at_1',
    'eval_recall_at_10',
    'eval_mrr',
  ]);
  assert.deepEqual(bestMetrics.slice(0, 5).map(isGreaterBetter), [false, true, true, true, true]);
  const evaluation = { loss: 1, tokenAccuracy: 0.5, metrics: { mrr: 0.25 } };
  assert.deepEqual(
    bestMetrics.slice(0, 5).map((name) => bestMetricOf(name, evaluation)),
    [1, 0.5, 0.5, Number.NaN, 0.25],
  );
  const refused = (metric: string, format: string) => {
    try {
      checkObjectiveOptions({ metric_for_best_model: metric }, format);
      return null;
    } catch (error) {
      return (error as Error).message;
    }
  };
  assert.equal(refused('eval_mrr', 'pairs'), null);
  assert.equal(
    refused('eval_mrr', 'text'),
    'training.metric_for_best_model: eval_mrr is not measured of text examples; use eval_loss',
  );
  assert.equal(
    refused('eval_accuracy', 'scored_pairs'),
    'training.metric_for_best_model: eval_accuracy is not measured of scored pairs; use eval_loss',
  );
  assert.throws(() => checkObjectiveOptions({ class_weights: 'balanced' }, 'multi_label_classification'), {
    param: 'training.class_weights',
  });
});

test('checkpoints have the same columns as before, whatever they train', () => {
  for (const name of ['next_token', 'classification', 'label_sets', 'contrastive', 'cosine'] as const)
    assert.deepEqual(metricColumns(name), ['recallAt10', 'mrr'], name);
});

test('the list of methods that learn from preferences is that of their objectives', () => {
  const methods = listedObjectives.filter(({ preference }) => preference).map(({ method }) => method);
  assert.deepEqual(preferenceMethods, methods);
});
