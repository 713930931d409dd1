import { type Program, ProgramBuilder, tf } from '@graft/tf-graph';
import type { PeftConfig } from '../config/index.ts';
import type { Architecture, ModelRuntime } from '../models/architecture.ts';
import { pool, unitRows } from '../nn/pooling.ts';
import { packedForward } from '../peft-model/packed-forward.ts';
import {
  adapterTensors,
  declarePeftModel,
  type ParameterTensors,
  type PeftModel,
} from '../peft-model/peft-model.ts';
import { logProbabilities } from './log-probabilities.ts';
import type { ClassifierScore, EmbeddingScore, LanguageScore } from './score.ts';

export interface ScoreLayout {
  /** Positions count from here. */
  firstPosition: number;
  /** How one vector is made of an input. */
  pooling: 'first' | 'last' | 'mean';
  normalise: boolean;
  /** Lengths that inputs are padded to, virtual tokens counted, in ascending order. */
  lengths: number[];
}

export interface ScoreProgram {
  program: Program;
  model: PeftModel;
  /** Scores one input, which must fit the longest length. */
  scoreOne(ids: number[]): LanguageScore | ClassifierScore | EmbeddingScore;
}

/** A forward pass of one padded input. */
interface Forward {
  model: PeftModel;
  runtime: ModelRuntime;
  parameters: ParameterTensors;
  /** `(T, H)`, normed. */
  hidden: tf.Tensor;
  /** `(T)` int32: the token after each, of the input's own; 0 elsewhere. */
  next: tf.Tensor;
  /** `(T)`: each position's share in the input's vector. */
  shares: tf.Tensor;
}

/** A function is made for each length when it is first needed. */
export function buildScoreProgram(
  architecture: Architecture,
  peft: PeftConfig | null,
  layout: ScoreLayout,
): ScoreProgram {
  const builder = new ProgramBuilder();
  const model = declarePeftModel(builder, architecture, peft, 'float32');
  const { task } = architecture;
  const { firstPosition, pooling, lengths } = layout;
  const program = builder.build();
  const scoreOn = builder.onDemand(program, (tokens: number) => {
    const perToken = { shape: [tokens], dtype: 'int32' } as const;
    const shares = { shape: [tokens], dtype: 'float32' } as const;
    return builder.function(
      `score_${tokens}`,
      { ids: perToken, segments: perToken, next: perToken, shares },
      (inputs) => {
        const grid = {
          rows: 1,
          tokens,
          positions: tf.range(firstPosition, firstPosition + tokens, 1, 'int32'),
        };
        const parameters = adapterTensors(model);
        const own = { ...grid, ids: inputs.ids, segments: inputs.segments };
        const { hidden: states, runtime } = packedForward(model, parameters, own, null);
        const hidden = architecture.finalNorm(runtime, states);
        const forward = { model, runtime, parameters, hidden, next: inputs.next, shares: inputs.shares };
        return { scores: scoresOf(forward, layout) };
      },
    );
  });

  return {
    program,
    model,
    scoreOne(ids) {
      const whole = [...model.virtualTokens, ...ids];
      const [virtual, width] = [model.virtualTokens.length, whole.length];
      const tokens = lengths.find((n) => n >= width)!;
      const first = pooling === 'last' ? width - 1 : 0;
      const feeds = {
        ids: filled(tokens, whole),
        segments: new Int32Array(tokens).fill(1, 0, width),
        next: filled(tokens, ids.slice(1), virtual),
        shares:
          pooling === 'mean'
            ? new Float32Array(tokens).fill(1 / width, 0, width)
            : new Float32Array(tokens).fill(1, first, first + 1),
      };
      const { shape, data } = program.run(scoreOn(tokens), feeds).scores;
      const values = data as Float32Array;
      switch (task) {
        case 'SEQ_CLS':
          return { logits: [...values] };
        case 'FEATURE_EXTRACTION':
          return { embedding: [...values] };
        case 'TOKEN_CLS': {
          const classes = shape[1]!;
          const logits = ids.map((_, t) => {
            const start = (virtual + t) * classes;
            return [...values.subarray(start, start + classes)];
          });
          return { logits };
        }
        default:
          return { logprobs: [...values.subarray(virtual, width - 1)] };
      }
    },
  };
}

/** `(T)` log-probabilities of the next tokens, `(T, classes)` or `(1, classes)` logits, or a vector `(1, H)`. */
function scoresOf(forward: Forward, { normalise }: ScoreLayout): tf.Tensor {
  const { model, runtime, hidden, shares } = forward;
  const { architecture } = model;
  // A share of one position takes that row.
  const pooled = () => pool(hidden, tf.zeros([hidden.shape[0]!], 'int32'), shares, 1);
  switch (architecture.task) {
    case 'TOKEN_CLS':
      return architecture.logits!(runtime, hidden);
    case 'SEQ_CLS':
      return architecture.logits!(runtime, pooled());
    case 'FEATURE_EXTRACTION':
      return normalise ? unitRows(pooled()) : pooled();
    default:
      return logProbabilities(model, runtime, forward.parameters, hidden, forward.next);
  }
}

/** `values` from index `from` on, between zeros. */
export function filled(length: number, values: number[], from = 0): Int32Array {
  const array = new Int32Array(length);
  array.set(values, from);
  return array;
}
