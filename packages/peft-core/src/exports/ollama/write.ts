import { readFile, stat } from 'node:fs/promises';
import path from 'node:path';
import { type BaseModel, endTokens } from '../../files.ts';
import type { TemplateKwargs } from '../../schema/template-kwargs.ts';
import { writeSmallFile } from '../../small-file.ts';
import { loadTokenizer, type Tokenizer, withChatTemplate } from '../../text/index.ts';
import type { ExportWriter } from '../export-writer.ts';
import { ggufName } from '../gguf/format.ts';
import { writeGgufModel } from '../gguf/write.ts';
import { type TurnTexts, templateRenderer, turnTexts } from '../turn-texts.ts';
import { dropped, type OllamaOptions, quoted } from './format.ts';

/**
 * Writes the merged model as GGUF and a Modelfile. Ollama refuses ADAPTER since version 0.34.1. Source: ollama, modelfile.mdx and
 * parser/parser.go.
 */
export const writeOllama: ExportWriter<OllamaOptions> = async (job) => {
  const { base, options, outputDir, fitting } = job;
  const { files, notes } = await writeGgufModel(job);
  const tokenizer = loadTokenizer(withChatTemplate(base.tokenizerFiles, fitting.adapter.chatTemplate));
  const template = templateLine(tokenizer);
  const text = [
    `FROM ./${ggufName}`,
    ...template.lines,
    ...parameters(base, tokenizer, options),
    ...(options.system === '' ? [] : [`SYSTEM """${options.system}"""`]),
    ...(await licenceLine(base)),
  ].join('\n');
  return {
    files: [...files, await writeSmallFile(outputDir, 'Modelfile', `${text}\n`)],
    notes: [...notes, ...template.notes, ...thinkingNote(fitting.adapter.templateKwargs)],
  };
};

/** Ollama sends enable_thinking by itself, which overrides the template's default. Source: ollama, server/routes.go. */
function thinkingNote({ enable_thinking: thinks }: TemplateKwargs): string[] {
  if (thinks !== false) return [];
  return [
    'The adapter was trained with enable_thinking false, and Ollama sends true to a model that can think unless a request has think false: use ollama run --think=false, or "think": false in a request.',
  ];
}

function templateLine(tokenizer: Tokenizer): { lines: string[]; notes: string[] } {
  if (tokenizer.chatTemplateSource === null)
    return {
      lines: ['TEMPLATE """{{ .Prompt }}"""'],
      notes: ['The model has no chat template: Ollama continues the prompt as it is.'],
    };
  const texts = turnTexts(templateRenderer(tokenizer));
  const template = texts && goTemplate(texts);
  if (!template || quoted.test(template))
    return {
      lines: [],
      notes: [
        'The chat template is more than texts around the turns, and is not written in Go: Ollama uses the one in the GGUF file, or one of its collection that is like it. Compare an answer with Graft’s.',
      ],
    };
  if (dropped.test(template))
    return {
      lines: [],
      notes: [
        'The chat template has spaces or invisible characters that Ollama drops from a Modelfile: it uses the template in the GGUF file, or one of its collection that is like it. Compare an answer with Graft’s.',
      ],
    };
  return {
    lines: [`TEMPLATE """${template}"""`],
    notes: [
      'The Modelfile’s template has no tools: where the chat template has them, Ollama uses the one in the GGUF file.',
      ...(texts.system ? [] : ['The chat template takes no system message.']),
    ],
  };
}

/** PARAMETER lines: ends of answers, and sampling options of generation_config.json. */
function parameters(base: BaseModel, tokenizer: Tokenizer, { num_ctx }: OllamaOptions): string[] {
  const stops = [...endTokens(base, tokenizer).chat]
    .map((id) => tokenizer.decode([id]))
    .filter((stop) => stop !== '' && !quoted.test(stop) && !dropped.test(stop));
  const sampling = base.generationConfig ?? {};
  const given = Object.entries(samplingNames).flatMap(([name, field]) => {
    const value = sampling[field];
    return typeof value === 'number' && sampling.do_sample !== false ? [`PARAMETER ${name} ${value}`] : [];
  });
  return [
    // Ollama reads no escapes.
    ...stops.map((stop) => `PARAMETER stop ${/["\r\n]/.test(stop) ? `"""${stop}"""` : `"${stop}"`}`),
    ...given,
    ...(num_ctx === 0 ? [] : [`PARAMETER num_ctx ${num_ctx}`]),
  ];
}

/** Ollama's parameters, and transformers' names for them. */
const samplingNames = {
  temperature: 'temperature',
  top_k: 'top_k',
  top_p: 'top_p',
  min_p: 'min_p',
  repeat_penalty: 'repetition_penalty',
};

/** Maximum length of a licence that is written, in bytes. */
const longestLicence = 65_536;

async function licenceLine({ format, path: folder }: BaseModel): Promise<string[]> {
  if (format !== 'hf') return [];
  for (const name of ['LICENSE', 'LICENSE.txt', 'LICENSE.md']) {
    const file = path.join(folder, name);
    const found = await stat(file).catch(() => null);
    if (!found?.isFile() || found.size > longestLicence) continue;
    const text = await readFile(file, 'utf8').catch(() => '');
    if (text !== '' && !quoted.test(text)) return [`LICENSE """${text}"""`];
  }
  return [];
}

/**
 * A chat template in Go's text/template, as Ollama runs it: `.System` holds the system messages, `.Messages` all messages, those of one role in a
 * row joined. Source: ollama, template/template.go (Execute, collate).
 */
export function goTemplate({ start, system, user, assistant, prompt }: TurnTexts): string {
  const inSystem = system ? `${text(system.before)}{{ .System }}${text(system.after)}` : '';
  const inTurn = system ? `${text(system.before)}{{ $.System }}${text(system.after)}` : '';
  const first =
    system?.place === 'start' ? `{{ if .System }}${inSystem}{{ else }}${text(start)}{{ end }}` : text(start);
  const within =
    system?.place === 'first'
      ? `{{ if and $.System (le $i 1) }}${inTurn}{{ end }}`
      : system?.place === 'last'
        ? `{{ if and $.System $last }}${inTurn}{{ end }}`
        : '';
  return [
    first,
    '{{ range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}',
    `{{ if eq .Role "user" }}${text(user)}${within}{{ .Content }}`,
    `{{ if $last }}${text(prompt)}{{ end }}`,
    `{{ else if eq .Role "assistant" }}${text(assistant.before)}{{ .Content }}{{ if not $last }}${text(assistant.after)}{{ end }}`,
    '{{ end }}{{ end }}',
  ].join('');
}

/** Text of a template; delimiters in it are written as values, and so is a brace at the end, which would be part of a delimiter after it. */
const text = (plain: string): string => plain.replaceAll(/\{\{|\{$/g, (open) => `{{ "${open}" }}`);
