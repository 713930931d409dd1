import { type Static, Type } from 'typebox';
import type { ExportFormat } from '../export-format.ts';
import { type GgufOptions, gguf } from '../gguf/format.ts';

const OllamaOptionsSchema = Type.Object(
  {
    ...gguf.options.properties,
    system: Type.String({
      default: '',
      maxLength: 16_384,
      description: 'System message of conversations that have none. "": none is written.',
    }),
    num_ctx: Type.Integer({
      default: 0,
      minimum: 0,
      maximum: 1 << 24,
      description: 'Tokens of prompt and answer together. 0: what Ollama chooses.',
    }),
  },
  { additionalProperties: false },
);

export type OllamaOptions = Pick<Static<typeof OllamaOptionsSchema>, 'system' | 'num_ctx'> & GgufOptions;

export const ollama: ExportFormat<OllamaOptions> = {
  name: 'ollama',
  title: 'Ollama model',
  summary: 'The merged model as a GGUF file and a Modelfile with its chat template, for ollama create.',
  runtimes: ['Ollama'],
  holds: gguf.holds,
  options: OllamaOptionsSchema,
  refusal: (adapter, options) =>
    quoted.test(options.system)
      ? { param: 'options.system', message: 'system: a Modelfile cannot hold """; write it otherwise' }
      : gguf.refusal(adapter, options),
  // The template is about as long as the one in Jinja; a licence has a few kilobytes.
  bytes: (adapter, options) => gguf.bytes(adapter, options) + 65_536 + 4 * options.system.length,
};

/** What ends a text of several lines in a Modelfile. */
export const quoted = /"""/;
