// `<tool_call>{"name": …, "arguments": {…}}</tool_call>`, as the Hermes models and those that follow them write calls.
import { JsonCalls } from './json-call.ts';
import { MarkedCalls } from './marked-calls.ts';
import { callTags, type ToolStyle } from './tool-style.ts';

const OPEN = '<tool_call>';
const CLOSE = '</tool_call>';

export const taggedJson: ToolStyle = {
  name: 'tagged-json',
  isUsedBy: (template) => template.includes(OPEN) && !template.includes('<arg_key>'),
  marks: [OPEN, CLOSE],
  reader: (_tools, out) =>
    new MarkedCalls(
      { opens: [OPEN], close: CLOSE, restart: '{"name"', body: (sink) => new JsonCalls(sink) },
      out,
    ),
  constraint: (options) => ({
    type: 'calls',
    tags: callTags(options, (name) => ({
      begin: `${OPEN}\n{"name": ${JSON.stringify(name)}, "arguments": `,
      end: `}\n${CLOSE}`,
    })),
    separator: '\n',
    several: options.parallel,
  }),
};
