import type { Program, ProgramBuilder, RunOutput, Variable } from '@graft/tf-graph';
import { chosenTokens, samplerFeeds, samplerInputs, type TokenAsk } from './graph-sampler.ts';

/** Outputs of `chosenTokens`. */
export interface Found {
  tokens: RunOutput;
  logprobs?: RunOutput;
  topIds?: RunOutput;
  topLogprobs?: RunOutput;
}

/**
 * Keeps the logits of the last choice on the GPU: if a draw needs more sorted tokens than a step sorts, another function sorts all
 * of them.
 */
export class KeptLogits {
  readonly #program: Program;
  /** `(rows, V)`. */
  readonly variable: (rows: number) => Variable;
  readonly #vocabulary: number;
  readonly #sortOn: (
    rows: number,
    seen: number,
    likely: number,
    adjusts: number,
  ) => Parameters<Program['run']>[0];

  constructor(builder: ProgramBuilder, program: Program, vocabulary: number) {
    this.#program = program;
    this.#vocabulary = vocabulary;
    this.variable = builder.onDemand(program, (rows: number) =>
      builder.variable({ name: `logits_${rows}`, shape: [rows, vocabulary] }),
    );
    this.#sortOn = builder.onDemand(
      program,
      (rows: number, seen: number, likely: number, adjusts: number) => {
        const kept = this.variable(rows);
        const inputs = samplerInputs(rows, 'filtered', seen, adjusts * vocabulary);
        const options = {
          mode: 'filtered',
          candidates: vocabulary,
          likely: likely < 0 ? null : likely,
        } as const;
        return builder.function(`sort_all_${rows}_${seen}_${likely}_${adjusts}`, inputs, (given) => ({
          ...chosenTokens(kept.read(), given, options),
        }));
      },
    );
  }

  /** The exact result of a step with the same asks. */
  sortAll(
    asks: readonly TokenAsk[],
    rows: number,
    { seen, likely, adjusts }: Record<'seen' | 'likely' | 'adjusts', number>,
  ): Found {
    const feeds = samplerFeeds(asks, rows, 'filtered', seen, adjusts * this.#vocabulary);
    return this.#program.run(this.#sortOn(rows, seen, likely, adjusts), feeds) as unknown as Found;
  }
}
