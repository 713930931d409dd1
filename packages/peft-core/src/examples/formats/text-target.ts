import { encoderDecoderExample } from './encoder-decoder-example.ts';
import { TEXT_LINE, textFault } from './fields.ts';
import type { DatasetFormat } from './format.ts';

interface TextTarget {
  text: string;
  target: string;
}

export const textTarget: DatasetFormat<'text_target', TextTarget> = {
  name: 'text_target',
  title: 'a text with what to turn it into',
  fields: '{"text", "target"}',
  called: TEXT_LINE,
  sample: '{"text": "A bent wheel", "target": "repair"}',
  tasks: ['SEQ_2_SEQ_LM'],
  targets: 'tokens',
  columns: ['text', 'target'],
  matches: ({ target }) => target !== undefined,
  read: (line) =>
    textFault(line, 'text') ??
    textFault(line, 'target') ?? { text: line.text as string, target: line.target as string },
  tokenize: ({ text, target }, reading) => [encoderDecoderExample(text, target, reading, true)],
  prompt: ({ text }) => text,
  answerLength: ({ target }) => target.length,
};
