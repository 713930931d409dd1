/** The graphs that Graft trains, measures, scores and answers with, laid out for a GPU: without weights, so of any size. */
import { type RecordedFunction, recordFunctions, useKernels } from '@graft/tf-graph';
import type { Target } from '../../../packages/peft-core/src/block-sizes/limits.ts';
import {
  parsePeftConfig,
  resolveTraining,
  type TrainingOptions,
} from '../../../packages/peft-core/src/config/index.ts';
import type { AnsweringModel } from '../../../packages/peft-core/src/generate/answering-program.ts';
import type { TokenAsk } from '../../../packages/peft-core/src/generate/card/graph-sampler.ts';
import { buildGenerationProgram } from '../../../packages/peft-core/src/generate/served-models.ts';
import { SequenceState } from '../../../packages/peft-core/src/generate/states/recurrent-states.ts';
import { architectureFor } from '../../../packages/peft-core/src/models/registry.ts';
import { layingOutFor, type MatmulPrecision } from '../../../packages/peft-core/src/nn/computation.ts';
import { type ObjectiveName, objectiveFor } from '../../../packages/peft-core/src/objectives/objectives.ts';
import { buildScoreProgram } from '../../../packages/peft-core/src/score/score-program.ts';
import { buildPairScoreProgram } from '../../../packages/peft-core/src/score/score-texts.ts';
import {
  addTrainProgram,
  buildEvaluationProgram,
  buildTrainProgram,
  type EvaluationProgram,
  type TrainProgramSpec,
} from '../../../packages/peft-core/src/train/train-program.ts';
import { attach } from '../../../packages/peft-core/src/tuners/registry.ts';
import type { BaseStorage } from '../../../packages/peft-core/src/weights/base-storage.ts';
import type { ArchitectureRow } from '../../../test/golden/matrix/architectures.ts';

/** Layers are small; what would be large on the host is as large as in earnest: a vocabulary, and the square of a row's tokens. */
const sizes = { vocab_size: 32768, max_position_embeddings: 1024, n_positions: 1024 };
const grid = { rows: 2, tokens: 256, labels: 320, sequences: 1, spans: 8 };

export interface GraphCase {
  name: string;
  build(): Promise<void>;
}

/** Options of peft.config, and of a training where they are part of the graph. */
export interface TrainedCase {
  architecture: Pick<ArchitectureRow, 'task' | 'config'>;
  peft: Record<string, unknown>;
  storage: BaseStorage;
  precision: MatmulPrecision;
  objective?: ObjectiveName;
  classes?: number;
  training?: TrainingOptions;
  classWeights?: number[];
  wholeBatch?: number;
  retrieves?: boolean;
  layers?: number;
}

/** The functions that a case traces, on a GPU or as on this machine's processor by stock operations. */
export async function functionsOf({ build }: GraphCase, target: Target = 'gpu'): Promise<RecordedFunction[]> {
  useKernels('stock');
  try {
    return await layingOutFor(target, () => recordFunctions(build));
  } finally {
    useKernels();
  }
}

function architectureOf({ task, config }: Pick<ArchitectureRow, 'task' | 'config'>, layers?: number) {
  const depth = layers && {
    num_hidden_layers: layers,
    n_layer: layers,
    num_layers: layers,
    num_decoder_layers: layers,
  };
  const fields: Record<string, unknown> = { ...config, ...sizes, ...depth };
  return architectureFor(String(fields.model_type), fields, task);
}

function specOf(one: TrainedCase): TrainProgramSpec {
  const { storage, precision, classWeights = null, wholeBatch = null, retrieves = false } = one;
  const architecture = architectureOf(one.architecture, one.layers);
  const peft = parsePeftConfig({ ...one.peft, task_type: architecture.task });
  const objective = one.objective ?? objectiveFor(one.architecture.task).name;
  const shape = {
    ...grid,
    inputTokens: architecture.encoder ? grid.tokens : 0,
    sequences: objective === 'contrastive' ? 3 : objective === 'cosine' ? 2 : 1,
  };
  const asked = one.training ?? {};
  const training = resolveTraining({ peft, training: asked, exampleCount: 64, hasValidationFile: true });
  const encodes = attach(peft, architecture, 'trained').derive !== undefined;
  return {
    architecture,
    peft,
    objective,
    ...(one.classes && { classes: one.classes }),
    training,
    storage,
    precision,
    classWeights,
    wholeBatch,
    retrieves,
    form: encodes ? 'trained' : 'folded',
    implementation: 'stock',
    grid: shape,
    evaluationGrid: shape,
  };
}

/** Training: each function of an update, evaluation, and what folds the adapter. */
export async function buildTraining(one: TrainedCase): Promise<void> {
  const built = buildTrainProgram(specOf(one));
  built.evaluate?.();
  built.program.close();
}

/** Two adapters on one base, as a sweep trains them. */
export async function buildSweep(one: TrainedCase): Promise<void> {
  const first = buildTrainProgram(specOf(one));
  const second = addTrainProgram(specOf(one), first, 1);
  second.evaluate?.();
  first.program.close();
}

/** Evaluation by itself, of a finished adapter or of the base model. */
export async function buildEvaluation(one: Omit<TrainedCase, 'peft'> & { peft: TrainedCase['peft'] | null }) {
  const { storage, precision, retrieves = false } = one;
  const architecture = architectureOf(one.architecture);
  const peft = one.peft && parsePeftConfig({ ...one.peft, task_type: architecture.task });
  const objective = one.objective ?? objectiveFor(one.architecture.task).name;
  const shape = { ...grid, inputTokens: architecture.encoder ? grid.tokens : 0, sequences: 3 };
  const built: EvaluationProgram = buildEvaluationProgram({
    architecture,
    peft,
    objective,
    classes: one.classes ?? 0,
    storage,
    precision,
    retrieves,
    form: 'folded',
    implementation: 'stock',
    grid: shape,
  });
  built.program.close();
}

/** Functions are declared when they are first run, and there are no weights to run them on. */
function declaredBy(run: () => unknown): void {
  try {
    run();
  } catch (error) {
    if (!/has no value yet: write it first/.test((error as Error).message)) throw error;
    return;
  }
  throw new Error('a program without weights ran');
}

/** Scores of texts, some of which have a beginning in common. */
export async function buildScoring({ architecture: row, peft }: Pick<TrainedCase, 'architecture' | 'peft'>) {
  const architecture = architectureOf(row);
  const config = parsePeftConfig({ ...peft, task_type: architecture.task });
  const layout = { firstPosition: 0, pooling: 'last', normalise: true, lengths: [256] } as const;
  const text = (length: number) => Array.from({ length }, (_, i) => (7 * i) % 200);
  if (architecture.encoder) {
    const { program, scoreOne } = buildPairScoreProgram(architecture, config, { ...layout, lengths: [256] });
    declaredBy(() => scoreOne(text(200), text(200)));
    program.close();
    return;
  }
  const { program, score } = buildScoreProgram(architecture, config, { ...layout, lengths: [256] });
  declaredBy(() => score([text(100)]));
  declaredBy(() =>
    score([
      [...text(60), 1],
      [...text(60), 2],
    ]),
  );
  program.close();
}

/** Each way of choosing a token that has a separate graph. */
const greedy: TokenAsk = {
  temperature: 0,
  topP: 1,
  topK: 0,
  minP: 0,
  repetitionPenalty: 1,
  uniform: 0.5,
  ids: [1, 2, 3],
  logprobs: null,
};
const asks: TokenAsk[] = [
  greedy,
  { ...greedy, logprobs: 5 },
  { ...greedy, temperature: 1, minP: 0.1 },
  { ...greedy, temperature: 1, topP: 0.9, topK: 40, repetitionPenalty: 1.1 },
];

/** Answers: a part of a prompt, a token of each row chosen in each way, an encoder's pass, a prefix, and rows of several adapters. */
export async function buildGeneration({
  architecture: row,
  peft,
  storage,
}: Pick<TrainedCase, 'architecture' | 'peft' | 'storage'>) {
  const architecture = architectureOf(row);
  const limits = { context: 512, rows: 4, cacheBytes: 1 << 26, updateBytes: 1 << 22 };
  const generation = buildGenerationProgram(architecture, limits, storage);
  const model = choosing(
    generation.attach(peft && parsePeftConfig({ ...peft, task_type: architecture.task })),
  );
  const blocks = Array.from({ length: 8 }, (_, i) => i + 2);
  const input = architecture.encoder ? { blocks, length: 100 } : null;
  const prompt = Array.from({ length: 60 }, () => 1);
  const state = generation.states ? new SequenceState(0).places(0) : undefined;
  const piece = (ids: number[], ask: TokenAsk | null) => ({
    ids,
    start: 0,
    length: ids.length,
    blocks,
    state,
    updates: null,
    input,
    ask,
  });
  declaredBy(() => model.choose([piece(prompt, null)]));
  declaredBy(() => model.choose([piece(prompt, greedy)]));
  for (const ask of asks) declaredBy(() => model.choose([piece([1], ask)]));
  if (architecture.encoder) declaredBy(() => model.encode(prompt, blocks));
  if (model.model.attachment?.prefixLength) declaredBy(() => model.prime(blocks));
  const shared = await generation.shared();
  if (shared) {
    const updates = { begin: 0, size: 8, users: 1 };
    declaredBy(() => choosing(shared.model).choose([{ ...piece([1], greedy), updates }, piece([2], greedy)]));
  }
  generation.program.close();
}

function choosing(model: AnsweringModel) {
  if (!('choose' in model)) throw new Error('what answers is laid out for a processor');
  return model;
}
