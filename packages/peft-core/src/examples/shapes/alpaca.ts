import { show } from '../../schema/check-fields.ts';
import type { Shape } from './shape.ts';

/** Instructions, each with an optional input, as Stanford's Alpaca has them. Read as a chat, so that the model's own template applies. */
export const alpaca: Shape = {
  name: 'alpaca',
  title: 'Alpaca instructions',
  columns: ['instruction', 'output', 'input', 'system'],
  sample: '{"instruction": "Name the part.", "input": "It stops the wheel.", "output": "The brake."}',
  yields: false,
  // The original has a column "text", too: its rows rendered for one model.
  matches: ({ instruction, output, messages, prompt }) =>
    instruction !== undefined && output !== undefined && messages === undefined && prompt === undefined,
  convert({ instruction, input, output, system }) {
    if (typeof instruction !== 'string') return `"instruction" must be a string, got ${show(instruction)}`;
    if (typeof output !== 'string') return `"output" must be a string, got ${show(output)}`;
    if (output === '') return '"output" is empty';
    if (input !== undefined && input !== null && typeof input !== 'string')
      return `"input" must be a string, got ${show(input)}`;
    const content = [instruction, input].filter(Boolean).join('\n\n');
    if (content === '') return '"instruction" and "input" are empty';
    const messages = [
      { role: 'user', content },
      { role: 'assistant', content: output },
    ];
    if (typeof system === 'string' && system !== '') messages.unshift({ role: 'system', content: system });
    return { messages };
  },
};
