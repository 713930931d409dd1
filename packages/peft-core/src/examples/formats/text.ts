import { NO_TARGET } from '../training-example.ts';
import { TEXT_LINE, textFault } from './fields.ts';
import type { DatasetFormat, Tokenized } from './format.ts';
import {
  type LabelledTokens,
  languageExample,
  lengthThroughTargets,
  withLabels,
} from './language-example.ts';
import type { Reading } from './reading.ts';

interface Text {
  text: string;
}

/** The loss covers all tokens after the first, and eos. */
export const text: DatasetFormat<'text', Text> = {
  name: 'text',
  title: 'plain text',
  fields: '{"text"}',
  called: TEXT_LINE,
  sample: '{"text": "A bent wheel"}',
  tasks: ['CAUSAL_LM'],
  targets: 'tokens',
  splitsTexts: true,
  columns: ['text'],
  matches: (line) => line.text !== undefined,
  read: (line) => textFault(line, 'text') ?? { text: line.text as string },
  tokenize({ text }, reading) {
    const { tokenizer, options, deadline } = reading;
    const ids = tokenizer.encode(text, { repeatsBos: options.repeatsBos ?? false, deadline });
    const whole = withLabels(tokenizer.withEos(ids), [{ from: 0, to: Number.POSITIVE_INFINITY }]);
    const why = 'its text has only one token, and the targets are the tokens after the first';
    return pieces(whole, reading) ?? [languageExample(whole, reading, why)];
  },
  prompt: ({ text }) => text,
  answerLength: ({ text }) => text.length,
};

/**
 * Splits a text that is too long into pieces. Each piece starts with the last tokens of the preceding one, as context outside the loss,
 * so that every token but the first counts once. Null for a text that is short enough or must not be split.
 */
function pieces(whole: LabelledTokens, reading: Reading): Tokenized[] | null {
  const { textStride = null, overlong = 'error' } = reading.options;
  const { ids, labelled } = whole;
  const end = lengthThroughTargets(whole);
  const most = reading.most();
  const overlap = Math.max(1, textStride ?? 0);
  if (textStride === null || overlong !== 'error' || end <= most || overlap >= most) return null;
  const found: Tokenized[] = [];
  let done = 1;
  for (let from = 0; done < end; from = done - overlap) {
    const to = Math.min(from + most, end);
    const targets = ids
      .slice(from + 1, to)
      .map((id, t) => (from + 1 + t >= done && labelled[from + 1 + t] === 1 ? id : NO_TARGET));
    found.push({ sequences: [{ ids: ids.slice(from, to - 1), targets }], tokens: to - from });
    done = to;
  }
  return found;
}
