import type { ExampleSize } from '../examples/batches/example-size.ts';
import type { DataSample, ExampleSample } from './estimate.ts';

/**
 * The sample of an objective that judges completions one by one: a pair is two of them, and each is computed a second time, with the
 * completion of another example after its prompt (`withOtherCompletions`). `maxSeqLength` bounds that second sequence.
 */
export function judgedSample(data: DataSample, maxSeqLength: number): DataSample {
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
