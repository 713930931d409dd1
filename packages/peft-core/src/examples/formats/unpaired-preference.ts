import type { Message } from '../../chat/message.ts';
import { show } from '../../schema/check-fields.ts';
import {
  type Completed,
  completionLength,
  completionSequence,
  plainTextsOf,
  promptText,
  readCompletions,
  systemPromptOf,
} from './completion.ts';
import { isJudged, PROMPT_LINE, unreadBesideText } from './fields.ts';
import type { DatasetFormat } from './format.ts';

interface UnpairedPreference extends Completed {
  completion: string | Message[];
  label: boolean;
}

/** A completion that is judged: true for a desirable one. */
export const unpairedPreference: DatasetFormat<'unpaired_preference', UnpairedPreference> = {
  name: 'unpaired_preference',
  title: 'a prompt with a completion that is desirable or not',
  fields: '{"prompt", "completion", "label"}',
  called: PROMPT_LINE,
  sample: '{"prompt": "Which tyre fits?", "completion": " A 32.", "label": true}',
  tasks: ['CAUSAL_LM'],
  targets: 'tokens',
  hasRoles: true,
  columns: ['prompt', 'completion', 'label', 'tools', 'parallel_tool_calls'],
  unread: unreadBesideText,
  matches: isJudged,
  read(line) {
    const { label } = line;
    if (typeof label !== 'boolean') return `"label" must be true or false, got ${show(label)}`;
    const read = readCompletions(line, ['completion']);
    return typeof read === 'string' ? read : { ...read, label };
  },
  tokenize(example, reading) {
    const { sequence, tokens } = completionSequence(example, example.completion, reading);
    return [{ sequences: [sequence], tokens, isDesirable: example.label }];
  },
  prompt: promptText,
  answerLength: ({ completion }) => completionLength(completion),
  plainTexts: ({ prompt, completion }) => plainTextsOf([prompt, completion]),
  systemPrompt: systemPromptOf,
  isDesirable: ({ label }) => label,
  shownLabel: ({ label }) => (label ? 'desirable' : 'undesirable'),
};
