import { type Program, ProgramBuilder, tf } from '@graft/tf-graph';
import type { PeftConfig } from '../config/index.ts';
import type { Architecture } from '../models/architecture.ts';
import { packedForward } from '../peft-model/packed-forward.ts';
import { adapterTensors, declarePeftModel, type PeftModel } from '../peft-model/peft-model.ts';
import { logProbabilities } from './log-probabilities.ts';
import type { ScoreLayout } from './score-program.ts';

export interface PairScoreProgram {
  program: Program;
  model: PeftModel;
  /** Log-probability of each label, given the input and the labels before it. Both must fit the largest length. */
  scoreOne(input: number[], labels: number[]): number[];
}

/** Scores for an encoder-decoder. The function for each pair of lengths is built at its first use. */
export function buildPairScoreProgram(
  architecture: Architecture,
  peft: PeftConfig | null,
  { firstPosition, lengths }: ScoreLayout,
): PairScoreProgram {
  const builder = new ProgramBuilder();
  const model = declarePeftModel(builder, architecture, peft, 'float32');
  const program = builder.build();
  const scoreOn = builder.onDemand(program, (inputTokens: number, tokens: number) => {
    const ints = (length: number) => ({ shape: [length], dtype: 'int32' }) as const;
    const own = { ids: ints(tokens), segments: ints(tokens), labels: ints(tokens) };
    const inputs = { input_ids: ints(inputTokens), input_segments: ints(inputTokens) };
    return builder.function(`score_${inputTokens}_${tokens}`, { ...own, ...inputs }, (fed) => {
      const grid = (tokens: number, first: number) => ({
        rows: 1,
        tokens,
        positions: tf.range(first, first + tokens, 1, 'int32'),
      });
      const parameters = adapterTensors(model);
      const { hidden, runtime } = packedForward(
        model,
        parameters,
        { ...grid(tokens, firstPosition), ids: fed.ids, segments: fed.segments },
        { ...grid(inputTokens, 0), ids: fed.input_ids, segments: fed.input_segments },
      );
      const normed = architecture.finalNorm(runtime, hidden);
      return { scores: logProbabilities(model, runtime, parameters, normed, fed.labels) };
    });
  });

  const holding = (width: number) => lengths.find((n) => n >= width)!;
  return {
    program,
    model,
    scoreOne(input, labels) {
      const ids = [...model.virtualTokens, ...input];
      const [inputTokens, tokens] = [holding(ids.length), holding(labels.length)];
      const { scores } = program.run(scoreOn(inputTokens, tokens), {
        input_ids: filled(inputTokens, ids),
        input_segments: new Int32Array(inputTokens).fill(1, 0, ids.length),
        ids: filled(tokens, [architecture.decoderStart!, ...labels.slice(0, -1)]),
        segments: new Int32Array(tokens).fill(1, 0, labels.length),
        labels: filled(tokens, labels),
      });
      return [...(scores.data as Float32Array).subarray(0, labels.length)];
    },
  };
}

/** An array with `values`, padded with zeros. */
function filled(length: number, values: number[]): Int32Array {
  const array = new Int32Array(length);
  array.set(values);
  return array;
}
