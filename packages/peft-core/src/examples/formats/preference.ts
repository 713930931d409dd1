import type { Message } from '../../chat/message.ts';
import { commonLength } from '../../text/common-length.ts';
import {
  type Completed,
  completionLength,
  completionSequence,
  isMessages,
  plainTextsOf,
  promptText,
  readCompletions,
  systemPromptOf,
} from './completion.ts';
import { isPreference, type Line } from './fields.ts';
import type { DatasetFormat } from './format.ts';
import { BadExample } from './reading.ts';

interface Preference extends Completed {
  chosen: string | Message[];
  rejected: string | Message[];
}

/** A chosen and a rejected completion of one prompt, as TRL has them: texts, or lists of messages. */
export const preference: DatasetFormat<'preference', Preference> = {
  name: 'preference',
  title: 'a prompt with a chosen and a rejected completion',
  fields: '{"prompt", "chosen", "rejected"}',
  called: '"prompt", "chosen" and "rejected"',
  sample: '{"prompt": "Which tyre fits?", "chosen": " A 32.", "rejected": " Any tyre."}',
  tasks: ['CAUSAL_LM'],
  targets: 'tokens',
  hasRoles: true,
  isPair: true,
  matches: isPreference,
  read(line) {
    const isGiven = line.chosen !== undefined;
    if (isGiven && JSON.stringify(line.chosen) === JSON.stringify(line.rejected))
      return '"chosen" and "rejected" are the same';
    const whole = withPrompt(line);
    const prompts = line.prompt === undefined && isEmpty(whole.prompt) ? promptNames : [];
    const found = prompts.find((name) => typeof line[name] === 'string');
    if (found)
      return `has no "prompt", and its completions begin differently: rename "${found}" to "prompt", or map the columns: {"prompt": "${found}", "chosen": "chosen", "rejected": "rejected"}`;
    return readCompletions(whole, ['chosen', 'rejected']);
  },
  tokenize(example, reading) {
    const chosen = completionSequence(example, example.chosen, reading);
    const rejected = completionSequence(example, example.rejected, reading);
    const sequences = [chosen.sequence, rejected.sequence];
    const [a, b] = sequences.map(({ ids, targets }) => [...ids, ...targets!]) as [number[], number[]];
    if (a.length === b.length && commonLength(a, b) === a.length)
      throw new BadExample(
        // What a truncated pair lacks is beyond the limit, so it is skipped.
        reading.isTruncated ? 'example_too_long' : 'example_empty',
        'has the same tokens in both completions',
      );
    return [{ sequences, tokens: chosen.tokens + rejected.tokens }];
  },
  prompt: promptText,
  answerLength: ({ chosen }) => completionLength(chosen),
  plainTexts: ({ prompt, chosen, rejected }) => plainTextsOf([prompt, chosen, rejected]),
  systemPrompt: systemPromptOf,
};

/** Fields that other data sets call a prompt. Without one, the completions would be learned as answers to nothing. */
const promptNames = ['question', 'instruction', 'input', 'query'];

const isEmpty = (prompt: unknown) => prompt === '' || (Array.isArray(prompt) && prompt.length === 0);

/** A line without a prompt, whose prompt is what both completions begin with. Source: trl, data_utils.py (extract_prompt). */
function withPrompt(line: Line): Line {
  const { prompt, chosen, rejected } = line;
  const areChats = isMessages(chosen) && isMessages(rejected);
  // Some data sets have the question as a text beside two whole conversations.
  if (prompt !== undefined && !(areChats && typeof prompt === 'string')) return line;
  if (areChats) {
    let common = 0;
    const last = Math.min(chosen.length, rejected.length) - 1;
    while (common < last && JSON.stringify(chosen[common]) === JSON.stringify(rejected[common])) common++;
    return {
      ...line,
      prompt: chosen.slice(0, common),
      chosen: chosen.slice(common),
      rejected: rejected.slice(common),
    };
  }
  if (typeof chosen !== 'string' || typeof rejected !== 'string') return { ...line, prompt: '' };
  let common = 0;
  while (common < Math.min(chosen.length, rejected.length) && chosen[common] === rejected[common]) common++;
  // A space belongs to the word after it.
  if (chosen[common - 1] === ' ') common--;
  return {
    ...line,
    prompt: chosen.slice(0, common),
    chosen: chosen.slice(common),
    rejected: rejected.slice(common),
  };
}
