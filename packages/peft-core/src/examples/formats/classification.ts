import { show } from '../../schema/check-fields.ts';
import { isJudged, isLabel, LABEL, type Label, TEXT_LINE, textFault } from './fields.ts';
import type { DatasetFormat } from './format.ts';

interface ClassifiedText {
  text: string;
  label: Label;
}

export const classification: DatasetFormat<'classification', ClassifiedText> = {
  name: 'classification',
  title: 'a text with its class',
  fields: '{"text", "label"}',
  called: TEXT_LINE,
  sample: '{"text": "It squeals", "label": "workshop"}',
  tasks: ['SEQ_CLS'],
  targets: 'none',
  columns: ['text', 'label'],
  matches: (line) => line.label !== undefined && !isJudged(line),
  read(line) {
    const fault = textFault(line, 'text');
    if (fault) return fault;
    if (line.target !== undefined) return 'has both "label" and "target"; give one';
    const { text, label } = line;
    return isLabel(label) ? { text: text as string, label } : `"label" must be ${LABEL}, got ${show(label)}`;
  },
  tokenize({ text, label }, reading) {
    const ids = reading.textIds(text);
    return [{ sequences: [{ ids }], label: reading.classOf(label), tokens: ids.length }];
  },
  prompt: ({ text }) => text,
  labels: ({ label }) => [label],
  shownLabel: ({ label }) => String(label),
};
