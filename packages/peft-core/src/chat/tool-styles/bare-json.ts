// `{"name": …, "parameters": {…}}` as the whole answer, also after `<|python_tag|>`; several are separated by `;`.
import { JsonCalls } from './json-call.ts';
import { MarkedCalls } from './marked-calls.ts';
import { callTags, type ToolStyle } from './tool-style.ts';

const TAG = '<|python_tag|>';

export const bareJson: ToolStyle = {
  name: 'bare-json',
  isUsedBy: (template) => template.includes('{"name": ') && template.includes('"parameters": '),
  marks: [TAG],
  // A JSON text that calls none of the tools is content.
  reader: (tools, out) => {
    const names = new Set(tools.map((tool) => tool.function.name));
    const body = () => new JsonCalls(out, (name) => names.has(name));
    return new MarkedCalls({ opens: [TAG, ';'], close: null, isOpen: true, restart: '{"name"', body }, out);
  },
  constraint: (options) => ({
    type: 'calls',
    tags: callTags(options, (name) => ({
      begin: `{"name": ${JSON.stringify(name)}, "parameters": `,
      end: '}',
    })),
    separator: '; ',
    several: options.parallel,
  }),
};
