import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parsePeftConfig } from '../../config/index.ts';
import { openBaseModel, writeAdapter } from '../../files.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { byteTokenizer, tinyTokenizerConfig, writeTinyModel } from '../../testing/tiny-model.ts';
import { fileTensorsFor } from '../../tuners/check.ts';
import { exportFolder } from '../export-folder.ts';
import { goTemplate } from './write.ts';

const at = tempFolder();

async function modelfile(
  name: string,
  chatTemplate: string | null,
  options: Record<string, unknown> = {},
  tokenizer: object = {},
  ends = { eos_token_id: [257] },
) {
  await writeTinyModel(at(name));
  writeFileSync(at(name, 'tokenizer.json'), JSON.stringify({ ...byteTokenizer(), ...tokenizer }));
  const { chat_template: _, ...config } = tinyTokenizerConfig;
  writeFileSync(at(name, 'tokenizer_config.json'), JSON.stringify(config));
  writeFileSync(at(name, 'generation_config.json'), JSON.stringify({ ...ends, temperature: 0.7, top_k: 20 }));
  writeFileSync(at(name, 'LICENSE'), 'Do what you like.');
  if (chatTemplate !== null) writeFileSync(at(name, 'chat_template.jinja'), chatTemplate);
  const base = await openBaseModel(at(name));
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 2, target_modules: ['q_proj'] });
  const tensors = fileTensorsFor(peft, base.config).map(
    ({ key, shape }) => [key, { shape, data: new Float32Array(elementCount(shape)).fill(0.1) }] as const,
  );
  await writeAdapter(at(`${name} adapter`), { peft, baseModelNameOrPath: null, tensors: new Map(tensors) });
  const { notes } = await exportFolder('ollama', {
    base,
    adapterDir: at(`${name} adapter`),
    folder: at(`${name} exported`),
    options: { dtype: 'f16', ...options },
    name,
  });
  await base.close();
  assert.deepEqual(readdirSync(at(`${name} exported`)).sort(), ['Modelfile', 'model.gguf']);
  return { text: readFileSync(at(`${name} exported`, 'Modelfile'), 'utf8'), notes };
}

test('a Modelfile has the template, the ends of answers, sampling options and the licence', async () => {
  const { text, notes } = await modelfile('turns', tinyTokenizerConfig.chat_template, {
    system: 'Be brief.',
    num_ctx: 2048,
  });
  assert.equal(
    text,
    `FROM ./model.gguf
TEMPLATE """{{ if .System }}system: {{ .System }}</s>{{ else }}{{ end }}{{ range $i, $_ := .Messages }}{{ $last := eq (len (slice $.Messages $i)) 1 }}{{ if eq .Role "user" }}user: {{ .Content }}{{ if $last }}</s>assistant: {{ end }}{{ else if eq .Role "assistant" }}</s>assistant: {{ .Content }}{{ if not $last }}</s>{{ end }}{{ end }}{{ end }}"""
PARAMETER stop "</s>"
PARAMETER temperature 0.7
PARAMETER top_k 20
PARAMETER num_ctx 2048
SYSTEM """Be brief."""
LICENSE """Do what you like."""
`,
  );
  assert.match(notes.join(), /template has no tools/);
});

test('another template is left to Ollama, and a model without one continues the prompt', async () => {
  const counted = '{% for m in messages %}{{ loop.index }}. {{ m.content }}\n{% endfor %}';
  const { text, notes } = await modelfile('counted', counted);
  assert.doesNotMatch(text, /TEMPLATE|SYSTEM|num_ctx/);
  assert.match(notes.join(), /is not written in Go: Ollama uses the one in the GGUF file/);
  assert.match((await modelfile('bare', null)).text, /^TEMPLATE """\{\{ \.Prompt \}\}"""$/m);
});

test('texts that Ollama would cut or change are refused, or left out', async () => {
  for (const [name, system, message] of [
    ['quoted', 'a """ b', /cannot hold """/],
    ['space', 'dix\u00a0euros', /cannot hold the character U\+00A0; write it otherwise/],
    ['invisible', 'a "\u200b"" b', /U\+200B/],
  ] as const)
    await assert.rejects(modelfile(name, null, { system }), {
      code: 'not_exportable',
      param: 'options.system',
      message,
    });
  const wide = tinyTokenizerConfig.chat_template.replace("': '", "':\u3000'");
  assert.notEqual(wide, tinyTokenizerConfig.chat_template);
  const { text, notes } = await modelfile('wide', wide, { system: '„Sei kurz“, 猫 👋🏽\t…' });
  assert.doesNotMatch(text, /TEMPLATE/);
  assert.match(text, /^SYSTEM """„Sei kurz“, 猫 👋🏽\t…"""$/m);
  assert.match(notes.join(), /invisible characters that Ollama drops/);
});

test('a template with the bos token before every question has none at the start, where Ollama adds one', async () => {
  const questions = "{{ bos_token + '[INST] ' + m.content + ' [/INST]' }}";
  const answers = "{{ ' ' + m.content + ' ' + eos_token }}";
  const turns = `{% for m in messages %}{% if m.role == 'user' %}${questions}{% elif m.role == 'assistant' %}${answers}{% endif %}{% endfor %}`;
  const single = [{ SpecialToken: { id: '<s>', type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }];
  const special_tokens = { '<s>': { id: '<s>', ids: [256], tokens: ['<s>'] } };
  const post_processor = { type: 'TemplateProcessing', single, pair: single, special_tokens };
  const { text } = await modelfile('bos', turns, {}, { post_processor });
  assert.match(text, /^TEMPLATE """\{\{ range .*\{\{ if eq \.Role "user" \}\}\[INST\] \{\{ \.Content \}\}/m);
  assert.match(text, /\{\{ if not \$last \}\} <\/s><s>\{\{ end \}\}/);
  const without = await modelfile('no bos', turns);
  assert.match(without.text, /\{\{ if eq \.Role "user" \}\}<s>\[INST\] /);
});

test('a template shows the date of training', async () => {
  const dated =
    "{{ strftime_now('%d %b %Y') }}\n{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}";
  const { text } = await modelfile('dated', `${dated}{% if add_generation_prompt %}<assistant>{% endif %}`);
  assert.match(text, /^TEMPLATE """.*26 Jul 2024$/m);
});

test('stops are written as they are', async () => {
  const added = [
    ['<\\end>', 260],
    ['a"\n', 261],
    ['"""', 262],
  ] as const;
  const { added_tokens } = byteTokenizer() as { added_tokens: object[] };
  const own = added.map(([content, id]) => ({ ...added_tokens[0], content, id }));
  const ends = { eos_token_id: [257, 260, 261, 262] };
  const { text } = await modelfile('stops', null, {}, { added_tokens: [...added_tokens, ...own] }, ends);
  const stops = text.split('PARAMETER ').filter((line) => line.startsWith('stop'));
  assert.deepEqual(stops, ['stop "</s>"\n', 'stop "<\\end>"\n', 'stop """a"\n"""\n']);
});

test('braces beside contents are not delimiters', () => {
  const turns = {
    start: '',
    system: null,
    user: '{',
    assistant: { before: '{{x{', after: '}' },
    prompt: '}{',
  };
  const template = goTemplate(turns);
  assert.doesNotMatch(template, /\{\{\{/);
  assert.match(template, /\{\{ "\{" \}\}\{\{ \.Content \}\}/);
  assert.match(template, /\{\{ "\{\{" \}\}x\{\{ "\{" \}\}\{\{ \.Content \}\}/);
});
