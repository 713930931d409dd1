import { type Static, Type } from 'typebox';
import type { ExportFormat, ExportRefusal } from '../export-format.ts';
import { type GgufOptions, gguf } from '../gguf/format.ts';

const OllamaOptionsSchema = Type.Object(
  {
    ...gguf.options.properties,
    system: Type.String({
      default: '',
      maxLength: 16_384,
      description:
        'System message of conversations that have none. "": none is written. For a version of a service, the default is the system prompt that all its training examples share.',
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
  card: {
    relation: gguf.card.relation,
    library: gguf.card.library,
    usage: ({ repository }) => `\`\`\`sh
hf download ${repository} --local-dir my-model && cd my-model
ollama create my-model && ollama run my-model
\`\`\``,
    recognises: (names) => names.includes('Modelfile'),
  },
  rendersTemplate: true,
  refusal: (adapter, options) => systemRefusal(options.system) ?? gguf.refusal(adapter, options),
  // The template is about as long as the one in Jinja; a licence has a few kilobytes.
  bytes: (adapter, options) => gguf.bytes(adapter, options) + 65_536 + 4 * options.system.length,
};

function systemRefusal(system: string): ExportRefusal | null {
  const refuse = (what: string) => ({
    param: 'options.system',
    message: `system: a Modelfile cannot hold ${what}; write it otherwise`,
  });
  const [lost] = dropped.exec(system) ?? [];
  if (lost !== undefined)
    return refuse(`the character U+${lost.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`);
  return quoted.test(system) ? refuse('"""') : null;
}

/** Characters that Ollama drops from texts of a Modelfile: spaces other than the usual ones, and invisible ones. Source: parser/parser.go. */
export const dropped = /[^\p{L}\p{M}\p{N}\p{P}\p{S} \t\r\n]/u;

/** Matches an end of a text of several lines in a Modelfile: Ollama looks for it when it has dropped characters. */
export const quoted = /"(?:[^\p{L}\p{M}\p{N}\p{P}\p{S} \t\r\n]*"){2}/u;
