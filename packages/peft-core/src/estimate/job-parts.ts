import { costOf } from '../examples/batches/choose-grid.ts';
import type { ExampleSize } from '../examples/batches/example-size.ts';
import type { BatchLayout } from '../examples/batches/plan-batches.ts';
import type { Objective } from '../objectives/objective.ts';
import { objectiveFor } from '../objectives/objectives.ts';
import { outlineOf } from '../outlines/index.ts';
import { withLabels } from '../outlines/label-names.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import { methodOf } from '../tuners/methods.ts';
import { constantParameters, trainedParameters } from '../tuners/trained-parameters.ts';
import { type BaseStorage, baseStorage } from '../weights/base-storage.ts';
import { blockCount } from './block-numbers.ts';
import type { DataSample, EstimatedJob, ExampleSample, Machine } from './estimate.ts';
import { type PlannedBatches, plannedBatches } from './planned-batches.ts';

export interface JobParts extends Pick<EstimatedJob, 'peft' | 'training'> {
  model: ModelOutline;
  batches: PlannedBatches;
  storage: BaseStorage;
  device: Machine['device'];
  precision: Machine['precision'];
  /** True if layers are Graft's kernels, on lists of positions if the model supports them. */
  kernels: boolean;
  threads: number;
  trainedParameters: number;
  /** Length of the adapter's vector, of its gradient and of Adam's averages: the trained parameters, and values that stay as they are. */
  vectorLength: number;
  /** The lowest block that the backward pass reaches, counted through the model: nothing below it is trained. */
  lowestTrained: number;
  /** Forward passes of each example through the model as it was before training. */
  referencePasses: number;
  /** True if a pass over the training examples reads the inputs of layers for start values. */
  readsInputs: boolean;
}

/** Throws as `outlineOf` does. */
export function jobParts(job: EstimatedJob, machine: Machine): JobParts {
  const { modelConfig, peft, training } = job;
  const objective: Objective = objectiveFor(peft.task_type, job.data.format, job.method);
  const data = objective.isUnpaired ? judgedSample(job.data, training.max_seq_length) : job.data;
  const config = data.labels ? withLabels(modelConfig, data.labels) : modelConfig;
  const model = outlineOf(config, peft.task_type);
  const trained = trainedParameters(peft, model);
  return {
    model,
    peft,
    training,
    batches: batchesOn(machine, data, training, arrangementOf(model, peft, training)),
    storage: baseStorage(training.base_dtype, machine.precision),
    device: machine.device,
    precision: machine.precision,
    kernels: machine.kernels,
    threads: machine.threads,
    trainedParameters: trained,
    vectorLength: trained + constantParameters(peft, model),
    lowestTrained: lowestTrained(peft, model),
    referencePasses: objective.passes.filter((pass) => pass === 'reference').length,
    readsInputs: methodOf(peft).readsInputs?.(peft) ?? false,
  };
}

/** Without kernels, batches are lists only if prefixes are shared and a list computes less than a grid. */
function batchesOn(
  { kernels }: Machine,
  data: EstimatedJob['data'],
  training: EstimatedJob['training'],
  wanted: BatchLayout,
): PlannedBatches {
  if (kernels) return plannedBatches(data, training, wanted);
  const grid = plannedBatches(data, training, 'grid');
  if (wanted !== 'shared') return grid;
  const shared = plannedBatches(data, training, 'shared');
  // On a list, stock attention compares every position with all others.
  const attended = { ...shared.attended, own: shared.shape.tokens };
  return costOf(shared.shape) < costOf(grid.shape) ? { ...shared, attended } : grid;
}

/** BatchLayout for kernels as in train/setup.ts; option names suffice to detect dropout here. */
function arrangementOf(
  model: ModelOutline,
  peft: EstimatedJob['peft'],
  { neftune_noise_alpha: alpha = 0, max_seq_length: length }: EstimatedJob['training'],
): BatchLayout {
  if (alpha > 0 || length > (model.longOver ?? length)) return 'flat';
  const drops = Object.entries(peft).some(([name, value]) => name.endsWith('dropout') && Number(value) > 0);
  const shares = model.pooling === 'last' && !model.encoderLayers && !model.recurrence && !drops;
  return shares ? 'shared' : 'flat';
}

function lowestTrained(peft: EstimatedJob['peft'], model: ModelOutline): number {
  const { fileTensors } = methodOf(peft);
  // In an encoder-decoder, the decoder's loss flows back through the whole encoder, and names alone do not distinguish the two.
  if (!fileTensors || model.encoderLayers) return 0;
  let lowest = blockCount(model);
  for (const { key, needless } of fileTensors(peft, model)) {
    if (needless) continue;
    const number = /\.(\d+)\./.exec(key);
    if (number) lowest = Math.min(lowest, Number(number[1]));
    // A trained tensor outside of blocks is above them, unless it is an embedding or a prompt.
    else if (!isAbove(key, model)) return 0;
  }
  return lowest;
}

/** Returns true if a trained tensor outside of blocks comes after them. */
function isAbove(key: string, model: ModelOutline): boolean {
  const path = key.replace(/^base_model\.(model\.)?/, '');
  const embeddings = model.modules.filter(({ kind }) => kind === 'embedding').map(({ name }) => name);
  const isEmbedding = embeddings.some((name) => path.startsWith(`${name}.`)) || /embeddings/.test(path);
  return path !== key && !isEmbedding;
}

/**
 * The sample of an objective that judges completions one by one: a pair is two of them, and each is computed a second time, with the
 * completion of another example after its prompt (`withOtherCompletions`). `maxSeqLength` bounds that second sequence.
 */
function judgedSample(data: DataSample, maxSeqLength: number): DataSample {
  const { training, validation } = data;
  return {
    ...data,
    training: judgedSizes(training, maxSeqLength),
    validation: validation && judgedSizes(validation, maxSeqLength),
  };
}

function judgedSizes({ examples, sizes }: ExampleSample, maxSeqLength: number): ExampleSample {
  const judged = sizes.flatMap(completionsOf);
  const whole = judged.map((own, i): ExampleSize => {
    const other = judged[i === 0 ? judged.length - 1 : i - 1]!;
    const second = Math.min(own.prompt + other.width - other.prompt, maxSeqLength);
    const prompt = { ids: own.ids, limit: own.prompt };
    return {
      widths: [own.width, second],
      inputWidth: 0,
      labels: own.labels + other.labels,
      tokens: own.tokens,
      isPair: true,
      ...(own.ids.length > 0 && { shareable: [prompt, prompt] }),
    };
  });
  return { examples: Math.round((examples * judged.length) / sizes.length), sizes: whole };
}

/** Positions before and in each completion of an example, and its part of the labels. */
function completionsOf({ widths, labels, tokens, shareable }: ExampleSize) {
  const prompts = widths.map((_, part) => shareable?.[part]?.limit ?? 0);
  const inAll = widths.reduce((sum, width, part) => sum + width - prompts[part]!, 0);
  return widths.map((width, part) => ({
    width,
    prompt: prompts[part]!,
    ids: shareable?.[part]?.ids ?? new Int32Array(0),
    labels: Math.round((labels * (width - prompts[part]!)) / Math.max(1, inAll)),
    tokens: widths.length === 1 ? tokens : width + 1,
  }));
}
