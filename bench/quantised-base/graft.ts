/** One measurement of bench/quantised-base, in a separate process, by a Plan. Its result is that of the plan's task. */
import { openGenerator, train } from '@graft/peft-core';
import { openBaseModel } from '@graft/peft-core/files';
import { outlineOf } from '@graft/peft-core/outlines';
import { exactMatch, greedyAnswers, readHeldOut } from '../../scripts/demo/held-out.ts';
import { answer as answerWith, readPlan } from '../../scripts/measuring/processes.ts';
import { median } from '../../scripts/measuring/report.ts';
import type { Plan, TaskResults } from './measure-weights.ts';

const plan = await readPlan<Plan>();
const base = await openBaseModel(plan.model);
const tasks: { [T in Plan['task']]: () => Promise<TaskResults[T]> } = { weights, train: trainAll, answer };
const result = await tasks[plan.task]();
await base.close();
answerWith(result);

function start() {
  const { trainingFile, heldOutFile: validationFile, peft, training, adapter: outputDir } = plan;
  return train({ base, baseModelName: 'bench', trainingFile, validationFile, peft, training, outputDir });
}

/** One step and one evaluation, of which main.ts reads TensorFlow's memory log. */
async function weights(): Promise<TaskResults['weights']> {
  let parameters = 0;
  for await (const record of start()) if (record.type === 'start') parameters = record.trainableParameters;
  const { vocabularySize, hiddenSize, modules } = outlineOf(base.config);
  const values = modules.reduce(
    (sum, { kind, in: width, out }) =>
      kind === 'linear' && out !== vocabularySize ? sum + width! * out! : sum,
    0,
  );
  return { trainableParameters: parameters, vocabularySize, hiddenSize, linearValues: values };
}

async function trainAll(): Promise<TaskResults['train']> {
  const found: TaskResults['train'] = {
    tokensPerSecond: 0,
    loadedBytes: 0,
    peakBytes: 0,
    heldOutLoss: Number.NaN,
  };
  const speeds: number[] = [];
  for await (const record of start()) {
    if (record.type === 'start') found.loadedBytes = process.memoryUsage().rss;
    if (record.type === 'step') {
      speeds.push(record.tokensPerSecond);
      if (record.step % 10 === 0)
        process.stderr.write(`  step ${record.step}/${record.totalSteps}  loss ${record.loss.toFixed(4)}\n`);
    }
    if (record.type === 'evaluation') found.heldOutLoss = record.loss;
    if (record.type === 'done') found.peakBytes = record.peakMemoryBytes;
  }
  found.tokensPerSecond = median(speeds);
  return found;
}

/** The adapter's answers to the held-out questions, served as Graft serves: on the original base, in float32. */
async function answer(): Promise<TaskResults['answer']> {
  const generator = await openGenerator({ base, context: 256 });
  const questions = await readHeldOut(plan.heldOutFile);
  const { adapter } = plan;
  const requests = questions.map(({ messages }) => ({ adapter, messages, max_tokens: 24 }));
  const right = exactMatch(questions, await greedyAnswers(generator, requests));
  await generator.close();
  return { right, of: questions.length };
}
