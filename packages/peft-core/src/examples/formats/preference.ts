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
import { hasPrompt, isPreference, type Line, unreadBesideText } from './fields.ts';
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
  columns: ['prompt', 'chosen', 'rejected', 'tools', 'parallel_tool_calls'],
  unread: (line) => (areChats(line) ? (isLost(line) ? ['prompt'] : []) : unreadBesideText(line)),
  matches: isPreference,
  read(line) {
    const isGiven = line.chosen !== undefined;
    if (isGiven && JSON.stringify(line.chosen) === JSON.stringify(line.rejected))
      return '"chosen" and "rejected" are the same';
    return readCompletions(withPrompt(line), ['chosen', 'rejected']);
  },
  tokenize(example, reading) {
    const chosen = completionSequence(example, example.chosen, reading);
    const rejected = completionSequence(example, example.rejected, reading);
    const sequences = [chosen.sequence, rejected.sequence];
    const [a, b] = sequences.map(({ ids, targets }) => [...ids, ...targets!]) as [number[], number[]];
    if (a.length === b.length && commonLength(a, b) === a.length)
      throw new BadExample(
        // The part that a truncated pair lacks is beyond the limit, so it is skipped.
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

const areChats = ({ chosen, rejected }: Line): boolean => isMessages(chosen) && isMessages(rejected);

/** Returns true if both completions are answers only, without the question. */
export const areAnswers = ({ chosen, rejected }: Line): boolean =>
  [chosen, rejected].every((each) => isMessages(each) && !each.some(({ role }) => role === 'user'));

/** Returns true if a prompt beside two whole conversations is in neither, so that its place is unknown. */
const isLost = (line: Line): boolean =>
  typeof line.prompt === 'string' && !areAnswers(line) && !hasPrompt(line, 'chosen');

/** The part that both completions of a pair begin with, and the rest of each. Source: trl, data_utils.py (extract_prompt). */
function commonPrompt({ chosen, rejected }: Line): Pick<Line, 'prompt' | 'chosen' | 'rejected'> {
  const pairAfter = (
    length: number,
    all: string | readonly unknown[],
    others: string | readonly unknown[],
  ) => ({ prompt: all.slice(0, length), chosen: all.slice(length), rejected: others.slice(length) });
  let common = 0;
  if (isMessages(chosen) && isMessages(rejected)) {
    const last = Math.min(chosen.length, rejected.length) - 1;
    while (common < last && JSON.stringify(chosen[common]) === JSON.stringify(rejected[common])) common++;
    return pairAfter(common, chosen, rejected);
  }
  if (typeof chosen !== 'string' || typeof rejected !== 'string') return { prompt: '', chosen, rejected };
  while (common < Math.min(chosen.length, rejected.length) && chosen[common] === rejected[common]) common++;
  // A space belongs to the word after it.
  if (chosen[common - 1] === ' ') common--;
  return pairAfter(common, chosen, rejected);
}

/** A line whose prompt is missing, or a text beside two conversations, which may have it, too. */
function withPrompt(line: Line): Line {
  const { prompt } = line;
  if (prompt !== undefined && !(areChats(line) && typeof prompt === 'string')) return line;
  const whole = { ...line, ...commonPrompt(line) };
  if (prompt === undefined || !areAnswers(line)) return whole;
  const question = { role: 'user', content: prompt };
  return { ...whole, prompt: [...(whole.prompt as object[]), question] };
}
