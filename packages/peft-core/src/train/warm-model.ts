import { kernelSet, releaseMemory } from '@graft/tf-graph';
import { SHARED_ADAPTERS } from '../config/index.ts';
import type { BaseModel } from '../files.ts';
import { baseForm } from '../peft-model/peft-model.ts';
import { sha256 } from '../sha256.ts';
import { countOf } from '../tuners/file-tensors.ts';
import { loadWeights } from '../weights/load-weights.ts';
import {
  addTrainProgram,
  buildTrainProgram,
  GRAPH_OPTIONS,
  type TrainProgram,
  type TrainProgramSpec,
} from './train-program.ts';

/** The base model of a program, with the digest of its weights, and the classes of the data. */
interface ProgramBase {
  base: BaseModel;
  baseDigest: string;
  labels: readonly string[] | null;
}

/** Digests that identify the inputs of a program. */
interface ProgramKeys {
  /** Digest of the base's weights as stored in memory. */
  base: string;
  /** Digest of everything, including the adapter's form and the shapes. */
  program: string;
}

/** Keeps the program of the last job, so that the next job with the same base and shapes need not load the weights again. */
export class WarmModel {
  #held: { base: string; first: TrainProgram; programs: Map<string, TrainProgram> } | null = null;

  /**
   * The program of `spec` with the base model's weights. Returns the held one if its inputs are the same. Otherwise closes it first, so that
   * two base models are never in memory at once. With `shares`, and the same base, adds another adapter to the held weights instead.
   */
  async open(spec: TrainProgramSpec, of: ProgramBase, shares = false): Promise<TrainProgram> {
    const keys = keysOf(spec, of);
    const known = this.#held?.programs.get(keys.program) ?? (shares ? this.#add(keys, spec) : null);
    if (known) return known;
    this.close();
    const first = await this.load(spec, of.base);
    this.#held = { base: keys.base, first, programs: new Map([[keys.program, first]]) };
    return first;
  }

  close(): void {
    this.#held?.first.program.close();
    this.#held = null;
  }

  #add(keys: ProgramKeys, spec: TrainProgramSpec): TrainProgram | null {
    const held = this.#held;
    if (!held || held.base !== keys.base || held.programs.size >= SHARED_ADAPTERS) return null;
    try {
      const added = addTrainProgram(spec, held.first, held.programs.size + 1);
      held.programs.set(keys.program, added);
      return added;
    } catch {
      // It needs a fixed size that varies in the others; with its own copy of the weights it may be built otherwise.
      return null;
    }
  }

  /** Builds the program, prepares its main function, and loads the weights. */
  protected async load(spec: TrainProgramSpec, base: BaseModel): Promise<TrainProgram> {
    const { architecture, storage } = spec;
    const built = buildTrainProgram(spec);
    const { program, update } = built;
    const prepare = async () => {
      // The function that takes the most memory and longest to prepare.
      await program.prepare(
        'step' in update ? update.step : 'cached' in update ? update.cached.main : update.accumulate,
      );
      releaseMemory();
    };
    const fill = async () =>
      await loadWeights(program, base, architecture, storage, { stacks: built.model.stacks });
    try {
      if (countOf(architecture.parameters) < WORTH_BOTH) {
        await prepare();
        await fill();
      } else {
        const both = [prepare(), fill()];
        // A program cannot be closed while it is being prepared.
        await Promise.allSettled(both);
        await Promise.all(both);
      }
      releaseMemory();
      return built;
    } catch (error) {
      program.close();
      throw error;
    }
  }
}

/** Below this number of parameters, a step needs less memory than preparing it while the weights are read. */
const WORTH_BOTH = 50_000_000;

function keysOf(spec: TrainProgramSpec, { baseDigest, labels }: ProgramBase): ProgramKeys {
  const { architecture, peft, implementation, storage, precision, training, classWeights, ...others } = spec;
  const onBase = { kernels: kernelSet(), baseDigest, labels, task: peft.task_type, storage, precision };
  const digestOf = (value: unknown) => sha256(JSON.stringify(value));
  return {
    base: digestOf({ ...onBase, ...baseForm(architecture, peft, implementation) }),
    program: digestOf({
      ...onBase,
      ...others,
      peft,
      // The rest of `training` is fed to each step, so jobs that differ in it share a program.
      training: [
        ...GRAPH_OPTIONS.map((name) => training[name]),
        // The rate is fed to each step, but the graph contains the embeddings' rate relative to the peak.
        training.loraplus_lr_ratio === undefined ? null : training.learning_rate,
        // The noise scale is fed, too.
        Boolean(training.neftune_noise_alpha),
        training.ema_decay !== undefined,
      ],
      // Without label smoothing, class weights are part of the feeds of each step.
      classWeights: training.label_smoothing_factor ? classWeights : null,
    }),
  };
}
