import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { before, test } from 'node:test';
import { companionsOf } from '../base-model/companion-files.ts';
import { parsePeftConfig } from '../config/index.ts';
import { type BaseModel, openBaseModel, readAdapter, writeAdapter } from '../files.ts';
import { openGguf } from '../gguf/gguf.ts';
import { Random } from '../random.ts';
import { sha256 } from '../sha256.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import { tempFolder } from '../testing/temp-folder.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';
import { loadTokenizer } from '../text/index.ts';
import { fileTensorsFor } from '../tuners/check.ts';
import { exportFolder } from './export-folder.ts';
import { exportedAdapter, folderBytes } from './exported-adapter.ts';
import { exportFormat, exportFormats, parseExportOptions } from './formats.ts';

const at = tempFolder();
let base: BaseModel;

/** An adapter with random values, so that each tensor matters. */
async function adapter(name: string, peft: Record<string, unknown>): Promise<string> {
  const config = parsePeftConfig({ task_type: 'CAUSAL_LM', ...peft });
  const random = new Random(3, 'test', name.length);
  const tensors = new Map(
    fileTensorsFor(config, base.config).map(({ key, shape }) => [
      key,
      { shape, data: Float32Array.from({ length: elementCount(shape) }, () => 0.1 * random.normal()) },
    ]),
  );
  await writeAdapter(at(name), { peft: config, baseModelNameOrPath: null, tensors });
  return at(name);
}

const lora = { peft_type: 'LORA', r: 4, target_modules: 'all-linear' };

before(async () => {
  await writeTinyModel(at('model'), {
    hidden_size: 128,
    intermediate_size: 512,
    num_hidden_layers: 4,
    head_dim: 32,
  });
  base = await openBaseModel(at('model'));
  await adapter('plain', lora);
});

const run = (format: string, folder: string, options: Record<string, unknown> = {}, more: object = {}) =>
  exportFolder(format, {
    base,
    adapterDir: at('plain'),
    folder: at(folder),
    options,
    name: 'plain',
    ...more,
  });

test('shards hold all tensors in the chosen type, and have the digests that were returned', async () => {
  const { files } = await run('merged', 'whole', { dtype: 'float32' });
  const whole = await openBaseModel(at('whole'));
  for (const [dtype, type] of [
    ['bfloat16', 'BF16'],
    ['float16', 'F16'],
    ['stored', 'F32'],
  ] as const) {
    const written = await run('merged', dtype, { dtype, max_shard_bytes: 1_000_000 });
    const shards = written.files.filter((file) => /^model-0000\d-of-0000\d\.safetensors$/.test(file.path));
    assert.ok(shards.length >= 2, dtype);
    assert.ok(shards.every(({ bytes }) => bytes < 1_010_000));
    for (const file of written.files) {
      const bytes = readFileSync(at(dtype, file.path));
      assert.deepEqual([file.bytes, file.sha256], [bytes.byteLength, sha256(bytes)], file.path);
    }
    const model = await openBaseModel(at(dtype));
    assert.equal(model.config.dtype, dtype === 'stored' ? 'float32' : dtype);
    const tolerance = { F32: 0, BF16: 2 ** -8, F16: 2 ** -11 }[type];
    for (const name of whole.tensors.names()) {
      assert.equal(model.tensors.info(name).dtype, type);
      const [a, b] = [await whole.tensors.readFloat32(name), await model.tensors.readFloat32(name)];
      assert.ok(
        a.every(
          (value, i) =>
            Math.abs(value - b[i]!) <= tolerance * Math.abs(value) + 1e-7 * (type === 'F16' ? 1 : 0),
        ),
        name,
      );
    }
    await model.close();
  }
  assert.ok(files.some((file) => file.path === 'model.safetensors'));
  await whole.close();
});

test('a type that does not hold a value is refused by the name of the tensor, and nothing is left', async () => {
  mkdirSync(at('large'));
  cpSync(at('plain'), at('large'), { recursive: true });
  const { config, tensors } = await readAdapter(at('large'));
  for (const [key, { data }] of tensors) if (key.includes('layers.2.mlp.up_proj')) data.fill(1e4);
  await writeAdapter(at('large'), { peft: config, baseModelNameOrPath: null, tensors });
  await assert.rejects(run('merged', 'overflow', { dtype: 'float16' }, { adapterDir: at('large') }), {
    code: 'float16_overflow',
    message: /"model\.layers\.2\.mlp\.up_proj\.weight" holds .* float16 ends at 65504; choose dtype bfloat16/,
  });
  assert.deepEqual(leftovers('overflow'), []);
});

/** Names of an export's folder and of temporary folders beside it. */
const leftovers = (folder: string) => readdirSync(at()).filter((name) => name.startsWith(folder));

test('estimates are upper bounds, and those of large files within 2 %', async () => {
  await adapter('patterns', { ...lora, rank_pattern: { q_proj: 3 }, alpha_pattern: { up_proj: 5 } });
  await adapter('whole-head', { ...lora, modules_to_save: ['lm_head'] });
  await adapter('magnitudes', { ...lora, use_dora: true });
  const cases: [string, string, Record<string, unknown>][] = [
    ['plain', 'merged', {}],
    ['plain', 'merged', { dtype: 'bfloat16', max_shard_bytes: 1_000_000 }],
    ['whole-head', 'merged', {}],
    ['magnitudes', 'merged', {}],
    ['plain', 'peft', {}],
    ['plain', 'peft', { pad_rank: true }],
    ['patterns', 'peft', { pad_rank: true }],
    ['magnitudes', 'peft', { pad_rank: true }],
    ['plain', 'mlx', {}],
    ['patterns', 'mlx', {}],
    ['plain', 'gguf', { dtype: 'f32' }],
    ['plain', 'gguf', { dtype: 'q8_0' }],
    ['whole-head', 'gguf', { dtype: 'f32' }],
    ['whole-head', 'gguf', { dtype: 'q4_k_m' }],
    ['magnitudes', 'ollama', { dtype: 'f16' }],
  ];
  for (const { name } of exportFormats)
    if (!cases.some(([, tried]) => tried === name)) cases.push(['plain', name, {}]);
  for (const [i, [name, format, given]] of cases.entries()) {
    const row = exportFormat(format);
    const { config } = await readAdapter(at(name));
    const about = exportedAdapter(base, { config, chatTemplate: null, bytes: await folderBytes(at(name)) });
    const estimate = row.bytes(about, parseExportOptions(row, given));
    const { files } = await run(format, `estimate-${i}`, given, { adapterDir: at(name) });
    const written = files.reduce((sum, { bytes }) => sum + bytes, 0);
    const what = `${name} as ${format} ${JSON.stringify(given)}: ${estimate} estimated, ${written} written`;
    assert.ok(estimate >= written, what);
    // Metadata of a GGUF file and a template are counted as more than they are here.
    const more = format === 'gguf' ? 72_000 : format === 'ollama' ? 140_000 : 12_000;
    assert.ok(estimate <= 1.02 * written + more, what);
  }
});

test('what a format does not hold is refused with the reason and the remedy', async () => {
  await adapter('prompt', { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 3 });
  await adapter('wide', { ...lora, r: 513, target_modules: ['up_proj'] });
  const refused: [string, string, Record<string, unknown>, RegExp][] = [
    ['prompt', 'merged', {}, /PROMPT_TUNING cannot be merged: virtual tokens stand before .*format peft/],
    ['prompt', 'mlx', {}, /mlx-lm reads low-rank updates only, and this is PROMPT_TUNING: export merged/],
    ['prompt', 'peft', { pad_rank: true }, /pad_rank: PROMPT_TUNING has no rank; leave the option out/],
    ['magnitudes', 'mlx', {}, /mlx-lm reads no magnitudes \(use_dora\): export merged/],
    ['whole-head', 'mlx', {}, /mlx-lm reads no modules trained in full \(lm_head\): export merged/],
    [
      'wide',
      'peft',
      { pad_rank: true },
      /the rank 513 is above 512, the largest that vLLM takes; export merged/,
    ],
  ];
  for (const [name, format, options, message] of refused) {
    const adapterDir = at(name);
    await assert.rejects(run(format, 'refused', options, { adapterDir }), {
      code: 'not_exportable',
      message,
    });
  }
  assert.deepEqual(leftovers('refused'), []);
  await assert.rejects(run('merge', 'refused'), {
    code: 'unknown_export_format',
    param: 'format',
    message: /there is no export format "merge"; .* did you mean merged\?/,
  });
  await assert.rejects(run('merged', 'refused', { dtype: 'int8', shard: 1, max_shard_bytes: 0 }), {
    code: 'invalid_export_option',
    param: 'options.shard',
    message:
      /options\.shard: no option of the format merged; .*options\.dtype: must be one of "stored".*options\.max_shard_bytes/,
  });
});

test('a folder is replaced only by request, and only if it is an export', async () => {
  await run('merged', 'again');
  await assert.rejects(run('peft', 'again'), { code: 'output_not_empty', message: /is not empty/ });
  await run('peft', 'again', {}, { overwrite: true });
  assert.deepEqual(readdirSync(at('again')).sort(), [
    'README.md',
    'adapter_config.json',
    'adapter_model.safetensors',
  ]);
  writeFileSync(at('again', 'thesis.pdf'), 'years of work');
  await assert.rejects(run('merged', 'again', {}, { overwrite: true }), {
    code: 'output_not_empty',
    message: /again holds thesis\.pdf, which no export wrote/,
  });
  assert.deepEqual(leftovers('again'), ['again']);
  mkdirSync(at('again', 'empty'));
  writeFileSync(at('a file'), '');
  await assert.rejects(run('merged', 'a file'), { code: 'output_not_empty', message: /is a file/ });
});

test('a folder that the export reads is not replaced', async () => {
  cpSync(at('plain'), at('inputs', 'adapter'), { recursive: true });
  symlinkSync(at('inputs'), at('link'));
  for (const [folder, adapterDir] of [
    ['inputs/adapter', at('inputs', 'adapter')],
    ['inputs', at('inputs', 'adapter')],
    ['link', at('inputs', 'adapter')],
    ['inputs/adapter', at('link', 'adapter')],
    ['model', at('plain')],
  ] as const)
    await assert.rejects(run('merged', folder, {}, { adapterDir, overwrite: true }), {
      code: 'output_not_empty',
      param: 'output',
      message: /, which this export reads, .*choose another one$/,
    });
  assert.ok(existsSync(at('inputs', 'adapter', 'adapter_config.json')));
  await run('peft', 'inputs-2', {}, { overwrite: true });
});

test('files that are links, as in caches of models, are copied', async () => {
  mkdirSync(at('links'));
  for (const name of readdirSync(at('plain'))) symlinkSync(at('plain', name), at('links', name));
  symlinkSync(at('nowhere'), at('links', 'lost.json'));
  assert.equal(await folderBytes(at('links')), await folderBytes(at('plain')));
  const { files } = await run('peft', 'followed', {}, { adapterDir: at('links') });
  assert.deepEqual(files.map((file) => file.path).sort(), readdirSync(at('plain')).sort());
  assert.deepEqual(
    readFileSync(at('followed', 'adapter_model.safetensors')),
    readFileSync(at('plain', 'adapter_model.safetensors')),
  );
});

test('a merged model keeps processors and the tokenizer of SentencePiece, and the estimate counts them', async () => {
  cpSync(at('model'), at('seeing'), { recursive: true });
  writeFileSync(at('seeing', 'processor_config.json'), '{"image_seq_length": 4}');
  writeFileSync(at('seeing', 'tokenizer.model'), new Uint8Array(300_000).fill(255));
  writeFileSync(at('seeing', 'pytorch_model.bin'), 'pickle');
  const seeing = await openBaseModel(at('seeing'));
  try {
    const { files } = await run('merged', 'sees', {}, { base: seeing });
    for (const name of ['processor_config.json', 'tokenizer.model']) {
      const copied = readFileSync(at('sees', name));
      assert.deepEqual(copied, readFileSync(at('seeing', name)));
      assert.equal(files.find((file) => file.path === name)?.sha256, sha256(copied));
    }
    assert.ok(!existsSync(at('sees', 'pytorch_model.bin')));
    const adapter = { config: parsePeftConfig(lora), chatTemplate: null, bytes: 0 };
    const counted = exportedAdapter(seeing, adapter).smallFileBytes;
    assert.equal(counted - exportedAdapter(base, adapter).smallFileBytes, 300_000 + 23);
    // A GGUF file is a whole model.
    assert.deepEqual(companionsOf(at('seeing', 'tokenizer.model')), []);
  } finally {
    await seeing.close();
  }
});

test('a folder that an ended process had moved away comes back', async () => {
  const ended = spawn(process.execPath, ['--version'], { stdio: 'ignore' });
  await once(ended, 'exit');
  const moved = at(`back.partial-${hostname().replaceAll(/[^\w.]/g, '_')}-${ended.pid}.replaced`);
  mkdirSync(moved);
  writeFileSync(path.join(moved, 'thesis.pdf'), 'years of work');
  await assert.rejects(run('peft', 'back'), { code: 'output_not_empty', message: /is not empty/ });
  assert.deepEqual(leftovers('back'), ['back']);
  assert.deepEqual(readdirSync(at('back')), ['thesis.pdf']);
  mkdirSync(moved);
  await run('peft', 'back', {}, { overwrite: true }).catch(() => {});
  assert.deepEqual(leftovers('back'), ['back']);
});

test('a folder that is filled during the export is not replaced', async () => {
  const onProgress = () => {
    mkdirSync(at('filled'), { recursive: true });
    writeFileSync(at('filled', 'model.safetensors'), 'another export');
  };
  await assert.rejects(run('peft', 'filled', {}, { onProgress }), { code: 'output_not_empty' });
  assert.deepEqual(readdirSync(at('filled')), ['model.safetensors']);
  assert.deepEqual(leftovers('filled'), ['filled']);
});

test('an export that is stopped, or fails half-way, leaves the folder as it was', async () => {
  const controller = new AbortController();
  let reports = 0;
  const onProgress = (done: number, total: number) => {
    assert.ok(done > 0 && done <= total);
    if (++reports === 5) controller.abort(new Error('stopped by hand'));
  };
  await assert.rejects(
    run('merged', 'stopped', {}, { signal: controller.signal, onProgress }),
    /stopped by hand/,
  );
  assert.equal(reports, 5);
  assert.deepEqual(leftovers('stopped'), []);
  const full = () => {
    throw Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
  };
  await assert.rejects(run('merged', 'full', {}, { onProgress: full }), {
    code: 'disk_full',
    message: /^the disk of .* filled up during the export; free some space or choose another folder$/,
  });
  assert.deepEqual(leftovers('full'), []);
});

const killer = `
import { exportFolder } from '${path.join(import.meta.dirname, 'export-folder.ts')}';
import { openBaseModel } from '${path.join(import.meta.dirname, '../files.ts')}';
const [model, adapterDir, folder, pieces] = process.argv.slice(2);
let done = 0;
const onProgress = () => { if (++done === Number(pieces)) process.kill(process.pid, 'SIGKILL'); };
const options = { max_shard_bytes: 1_000_000 };
await exportFolder('merged', { base: await openBaseModel(model), adapterDir, folder, options, name: 'x', onProgress });
`;

test('an export that is killed leaves nothing that looks complete, and the next one removes it', async () => {
  writeFileSync(at('killer.mts'), killer);
  let total = 0;
  await run('merged', 'counted', { max_shard_bytes: 1_000_000 }, { onProgress: () => total++ });
  for (const pieces of [1, Math.round(total / 2), total]) {
    const args = [at('model'), at('plain'), at('killed'), String(pieces)];
    const child = spawn(process.execPath, ['--import', 'tsx', at('killer.mts'), ...args], {
      stdio: 'inherit',
      cwd: import.meta.dirname,
    });
    const [, signal] = await once(child, 'exit');
    assert.equal(signal, 'SIGKILL', `${pieces}`);
    assert.equal(existsSync(at('killed')), false);
    const [left, ...more] = leftovers('killed');
    assert.match(left!, /^killed\.partial-/);
    assert.deepEqual(more, [], 'the one before was removed');
    assert.equal(existsSync(at(left!, 'config.json')), false);
    await assert.rejects(openBaseModel(at(left!)), { code: 'invalid_model' });
  }
  await run('merged', 'killed');
  assert.deepEqual(leftovers('killed'), ['killed']);
});

test('every option of a format has a default and a description', () => {
  for (const { name, options, summary, holds } of exportFormats) {
    assert.ok(summary.endsWith('.') && holds.endsWith('.'), name);
    for (const [option, schema] of Object.entries<{ default?: unknown; description?: string }>(
      options.properties,
    ))
      assert.ok(schema.default !== undefined && schema.description?.endsWith('.'), `${name}.${option}`);
    assert.equal((options as { additionalProperties?: boolean }).additionalProperties, false, name);
  }
});

test('an adapter that is active from an invocation on is exported with its tokens, or refused with the reason', async () => {
  const adapterDir = await adapter('activated', { ...lora, alora_invocation_tokens: [33, 62] });
  const refusals = {
    merged: /cannot be merged: it is active only from its invocation tokens on/,
    gguf: /cannot be merged/,
    ollama: /cannot be merged/,
    mlx: /active only from its invocation tokens on/,
  };
  for (const [format, message] of Object.entries(refusals))
    await assert.rejects(run(format, `activated ${format}`, {}, { adapterDir }), { message }, format);
  const { notes } = await run('gguf-lora', 'activated gguf-lora', {}, { adapterDir });
  assert.match(notes.join(' '), /llama-server/);
  const { metadata, close } = await openGguf(at('activated gguf-lora', 'adapter.gguf'));
  await close();
  assert.deepEqual(metadata.numbers('adapter.alora.invocation_tokens'), [33, 62]);
  await run('peft', 'activated peft', {}, { adapterDir });
  const config = JSON.parse(readFileSync(at('activated peft', 'adapter_config.json'), 'utf8'));
  assert.deepEqual(config.alora_invocation_tokens, [33, 62]);
});

test('variables of the training are defaults of the exported template, or named in a note', async () => {
  const variables = { enable_thinking: false, tone: 'dry "wit"' };
  const source =
    "{% for m in messages %}{{ m.content }}{% endfor %}{% if enable_thinking is defined and not enable_thinking %}<no thoughts>{% endif %}{{ tone | default('plain') }}";
  await writeTinyModel(at('thinking'));
  writeFileSync(at('thinking', 'chat_template.jinja'), source);
  const thinking = await openBaseModel(at('thinking'));
  const peft = parsePeftConfig({ ...lora, task_type: 'CAUSAL_LM' });
  const tensors = new Map(
    fileTensorsFor(peft, thinking.config).map(({ key, shape }) => [
      key,
      { shape, data: new Float32Array(elementCount(shape)) },
    ]),
  );
  const card = { templateKwargs: variables };
  await writeAdapter(at('thoughtless'), { peft, baseModelNameOrPath: null, tensors, card });
  const messages = [{ role: 'user' as const, content: 'Why?' }];
  const expected = 'Why?<no thoughts>dry "wit"';
  assert.equal(
    loadTokenizer(thinking.tokenizerFiles).applyChatTemplate(messages, { kwargs: variables }),
    expected,
  );
  try {
    for (const format of ['merged', 'gguf', 'ollama', 'peft']) {
      const folder = at(`thoughtless ${format}`);
      const request = { base: thinking, adapterDir: at('thoughtless'), folder, name: 'a' };
      const { notes } = await exportFolder(format, request);
      if (format === 'peft') {
        assert.match(notes.join(), /send enable_thinking = false, tone with each request/);
        assert.match(
          readFileSync(path.join(folder, 'README.md'), 'utf8'),
          /`chat_template_kwargs` ` {"enable_thinking":false,/,
        );
        continue;
      }
      assert.match(notes.join(), /defaults, which a request may override: enable_thinking = false, tone\.$/);
      assert.equal(/ollama run --think=false/.test(notes.join()), format === 'ollama');
      const exported = await openBaseModel(format === 'merged' ? folder : path.join(folder, 'model.gguf'));
      const { tokenizerFiles } = exported;
      await exported.close();
      const tokenizer = loadTokenizer(tokenizerFiles);
      assert.equal(tokenizer.applyChatTemplate(messages), expected, format);
      const other = { enable_thinking: true, tone: 'warm' };
      assert.equal(tokenizer.applyChatTemplate(messages, { kwargs: other }), 'Why?warm', format);
      if (format === 'ollama')
        assert.match(readFileSync(path.join(folder, 'Modelfile'), 'utf8'), /<no thoughts>dry "wit"/);
    }
  } finally {
    await thinking.close();
  }
});
