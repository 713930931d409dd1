import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parsePeftConfig } from '../../config/index.ts';
import { openBaseModel, writeAdapter } from '../../files.ts';
import { elementCount } from '../../tensors/tensor-source.ts';
import { tempFolder } from '../../testing/temp-folder.ts';
import { tinyTokenizerConfig, writeTinyModel } from '../../testing/tiny-model.ts';
import { fileTensorsFor } from '../../tuners/check.ts';
import { exportFolder } from '../export-folder.ts';

const at = tempFolder();

async function modelfile(name: string, chatTemplate: string | null, options: Record<string, unknown> = {}) {
  await writeTinyModel(at(name));
  const { chat_template: _, ...config } = tinyTokenizerConfig;
  writeFileSync(at(name, 'tokenizer_config.json'), JSON.stringify(config));
  writeFileSync(
    at(name, 'generation_config.json'),
    JSON.stringify({ eos_token_id: [257], temperature: 0.7, top_k: 20 }),
  );
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
  assert.match(notes.join(), /is not written in Go: Ollama chooses one from its collection/);
  assert.match((await modelfile('bare', null)).text, /^TEMPLATE """\{\{ \.Prompt \}\}"""$/m);
  await assert.rejects(modelfile('quoted', null, { system: 'a """ b' }), {
    code: 'not_exportable',
    param: 'options.system',
  });
});
