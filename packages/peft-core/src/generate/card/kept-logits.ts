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
  readonly #sortOn: (rows: number, seen: number, likely: number) => Parameters<Program['run']>[0];

  constructor(builder: ProgramBuilder, program: Program, vocabulary: number) {
    this.#program = program;
    this.variable = builder.onDemand(program, (rows: number) =>
      builder.variable({ name: `logits_${rows}`, shape: [rows, vocabulary] }),
    );
    this.#sortOn = builder.onDemand(program, (rows: number, seen: number, likely: number) => {
      const kept = this.variable(rows);
      const inputs = samplerInputs(rows, 'filtered', seen);
      const options = {
        mode: 'filtered',
        candidates: vocabulary,
        likely: likely < 0 ? null : likely,
      } as const;
      return builder.function(`sort_all_${rows}_${seen}_${likely}`, inputs, (given) => ({
        ...chosenTokens(kept.read(), given, options),
      }));
    });
  }

  /** The exact result of a step with the same asks. */
  sortAll(asks: readonly TokenAsk[], rows: number, seen: number, likely: number): Found {
    const feeds = samplerFeeds(asks, rows, 'filtered', seen);
    return this.#program.run(this.#sortOn(rows, seen, likely), feeds) as unknown as Found;
  }
}
