import { show } from '../../schema/check-fields.ts';
import { isLabel, LABEL, type Label, TEXT_LINE, textFault } from './fields.ts';
import type { DatasetFormat } from './format.ts';

interface LabelledText {
  text: string;
  /** All labels of the text; the list may be empty. */
  labels: Label[];
}

export const multiLabelClassification: DatasetFormat<'multi_label_classification', LabelledText> = {
  name: 'multi_label_classification',
  title: 'a text with every class that it has',
  fields: '{"text", "labels"}',
  called: TEXT_LINE,
  sample: '{"text": "It squeals", "labels": ["workshop", "urgent"]}',
  tasks: ['SEQ_CLS'],
  targets: 'none',
  columns: ['text', 'labels'],
  matches: ({ text, labels }) => text !== undefined && labels !== undefined,
  read(line) {
    const { text, label, labels, target } = line;
    const fault = textFault(line, 'text');
    if (fault) return fault;
    if (label !== undefined || target !== undefined)
      return `has both "labels" and "${label === undefined ? 'target' : 'label'}"; give one`;
    return labelsFault(labels) ?? { text: text as string, labels: labels as Label[] };
  },
  tokenize({ text, labels }, reading) {
    const ids = reading.textIds(text);
    const classes = labels.map((label) => reading.classOf(label));
    return [{ sequences: [{ ids }], labels: classes, tokens: ids.length }];
  },
  prompt: ({ text }) => text,
  labels: ({ labels }) => labels,
  shownLabel: ({ labels }) => labels.join(', '),
};

function labelsFault(labels: unknown): string | null {
  if (!Array.isArray(labels))
    return `"labels" must be a list of the labels that the text has, got ${show(labels)}`;
  const bad = labels.findIndex((each) => !isLabel(each));
  if (bad !== -1) return `labels[${bad}] must be ${LABEL}, got ${show(labels[bad])}`;
  const twice = labels.find((each, i) => labels.indexOf(each) !== i);
  return twice === undefined
    ? null
    : `"labels" has ${show(twice)} twice; it lists the labels that the text has, each once, not a 0 or 1 for every label`;
}
