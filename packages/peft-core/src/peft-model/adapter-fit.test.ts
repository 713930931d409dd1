import assert from 'node:assert/strict';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { parsePeftConfig, resolveTraining } from '../config/index.ts';
import { type BaseModel, openBaseModel, readAdapter, writeAdapter } from '../files.ts';
import { inspectAdapter, mergeAdapter, openGenerator, scoreTexts, train } from '../index.ts';
import { writeTinyModel } from '../testing/tiny-model.ts';

let root: string;
let base: BaseModel;
const opened: BaseModel[] = [];
const at = (...names: string[]) => path.join(root, ...names);

async function model(name: string, overrides: Record<string, unknown> = {}): Promise<BaseModel> {
  await writeTinyModel(at(name), overrides);
  const model = await openBaseModel(at(name));
  opened.push(model);
  return model;
}

async function trained(
  name: string,
  options: Record<string, unknown>,
  on = base,
  lines: object[] = [{ text: 'one' }, { text: 'two' }],
): Promise<string> {
  const trainingFile = at(`${name}.jsonl`);
  await writeFile(trainingFile, lines.map((line) => JSON.stringify(line)).join('\n'));
  const peft = parsePeftConfig(options);
  const training = resolveTraining({
    peft,
    training: { max_steps: 2, learning_rate: 0.02 },
    exampleCount: lines.length,
  });
  const job = { base: on, baseModelName: 'tiny', trainingFile, peft, training, outputDir: at(name) };
  for await (const _ of train(job));
  return at(name);
}

/** Copies an adapter's folder without the digest in README.md, as in files written by HF PEFT. */
async function untold(folder: string): Promise<string> {
  const copy = `${folder}-untold`;
  await cp(folder, copy, { recursive: true });
  await writeFile(path.join(copy, 'README.md'), '---\nlibrary_name: peft\n---\n');
  return copy;
}

/** Every function that uses an adapter with a base model. */
const uses: Record<string, (on: BaseModel, adapterDir: string) => Promise<unknown>> = {
  score: (on, adapterDir) => scoreTexts({ base: on, adapterDir, input: [{ text: 'a' }] }).next(),
  merge: (on, adapterDir) => mergeAdapter({ base: on, adapterDir, outputDir: at('merged') }),
  async generate(on, adapterDir) {
    const generator = await openGenerator({ base: on });
    try {
      await generator.generate({ adapter: adapterDir, prompt: 'a', max_tokens: 1 }).next();
    } finally {
      await generator.close();
    }
  },
};

async function refusedBy(on: BaseModel, adapterDir: string, fault: { code: string; message: RegExp }) {
  for (const [name, use] of Object.entries(uses)) await assert.rejects(use(on, adapterDir), fault, name);
  const { fits } = await inspectAdapter(adapterDir, on);
  assert.match(fits!.faults.join('; '), fault.message, 'inspect');
}

let lora: string;
before(async () => {
  root = await mkdtemp(path.join(tmpdir(), 'graft-fit-'));
  base = await model('base');
  lora = await trained('lora', { peft_type: 'LORA', r: 2, target_modules: ['q_proj'] });
});
after(async () => {
  for (const each of opened) await each.close();
  await rm(root, { recursive: true });
});

describe('an adapter of another base model', () => {
  test('of another width is refused wherever it is used', async () => {
    const wide = await model('wide', { hidden_size: 64 });
    await refusedBy(wide, await untold(lora), {
      code: 'adapter_mismatch',
      message: /q_proj\.lora_A\.weight has shape \[2,32\], this base model needs \[2,64\]/,
    });
  });

  test('of another depth, too', async () => {
    const shallow = await model('shallow', { num_hidden_layers: 1 });
    await refusedBy(shallow, await untold(lora), {
      code: 'adapter_mismatch',
      message: /layers\.1\.self_attn\.q_proj\.lora_A\.weight is not known/,
    });
  });

  test('whose modules or sizes have other names, too, and not as a fault of a request', async () => {
    const gpt2 = await model('gpt2', {
      model_type: 'gpt2',
      n_embd: 32,
      n_head: 4,
      n_layer: 2,
      n_positions: 64,
    });
    await refusedBy(gpt2, await untold(lora), {
      code: 'adapter_mismatch',
      message: /"q_proj" matches no module/,
    });
    const prompt = await trained('prompt', { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 2 });
    const wide = await model('wide-too', { hidden_size: 64 });
    const fault = { code: 'adapter_mismatch', message: /token_dim: is 32, but this base model's is 64/ };
    await assert.rejects(uses.score!(wide, await untold(prompt)), fault);
    await assert.rejects(uses.generate!(wide, `${prompt}-untold`), fault);
  });

  test('a base of the same shape is recognised by the digest of its weights', async () => {
    const readme = await readFile(path.join(lora, 'README.md'), 'utf8');
    assert.ok(readme.includes(`\nbase_model_sha256: "${await base.digest()}"\n`), readme);
    assert.equal((await readAdapter(lora)).baseDigest, await base.digest());
    const same = await model('same shape', { initializer_range: 0.5 });
    // Any change of bytes with the same shapes would do, such as a comment in the safetensors header.
    const file = at('same shape', 'model.safetensors');
    const bytes = await readFile(file);
    bytes[bytes.length - 1]! ^= 1;
    await writeFile(file, bytes);
    const other = await openBaseModel(at('same shape'));
    opened.push(other);
    await same.close().then(() => opened.splice(opened.indexOf(same), 1));
    const digests = new RegExp(
      `SHA-256 ${await base.digest()}, and those of this base model have ${await other.digest()}`,
    );
    await refusedBy(other, lora, { code: 'base_model_changed', message: digests });
    const { fits } = await inspectAdapter(lora, other);
    assert.deepEqual([fits!.faults.length, fits!.mergeable], [1, true]);
    await assert.rejects(
      async () => {
        const peft = parsePeftConfig({ peft_type: 'LORA', r: 2, target_modules: ['q_proj'] });
        const training = resolveTraining({ peft, training: { max_steps: 1 }, exampleCount: 2 });
        const job = { base: other, baseModelName: 'tiny', trainingFile: at('lora.jsonl'), peft, training };
        for await (const _ of train({ ...job, initialAdapter: lora, outputDir: at('on') }));
      },
      { code: 'base_model_changed' },
    );
    // Files without a digest load as before.
    await uses.score!(other, await untold(lora));
    assert.equal((await readAdapter(`${lora}-untold`)).baseDigest, null);
    assert.deepEqual((await inspectAdapter(`${lora}-untold`, other)).fits!.faults, []);
  });
});

test('embeddings that PEFT saved whole are named as that', async () => {
  const { config, tensors } = await readAdapter(lora);
  const table = { shape: [262, 32], data: new Float32Array(262 * 32) };
  const folder = at('resized');
  await writeAdapter(folder, {
    peft: config,
    baseModelNameOrPath: 'tiny',
    tensors: new Map([...tensors, ['base_model.model.model.embed_tokens.weight', table]]),
  });
  await refusedBy(base, folder, {
    code: 'adapter_mismatch',
    message:
      /embed_tokens\.weight is a table of 262 tokens: PEFT saved the embeddings whole \(save_embedding_layers\), as it does when the vocabulary was resized/,
  });
  const whole = await trained('whole', {
    peft_type: 'LORA',
    r: 2,
    target_modules: ['q_proj'],
    modules_to_save: ['embed_tokens'],
  });
  const more = await model('more tokens', { vocab_size: 264 });
  await assert.rejects(uses.score!(more, await untold(whole)), {
    code: 'adapter_mismatch',
    message:
      /has shape \[260,32\], this base model needs \[264,32\]: it was saved with a resized vocabulary of 260 tokens/,
  });
});

describe('an adapter whose task_type is null', () => {
  /** A copy of the folder with `task_type` null, as PEFT writes it if it is not set, and with other changes. */
  async function withoutTask(folder: string, change: object = {}): Promise<string> {
    const file = path.join(folder, 'adapter_config.json');
    const config = JSON.parse(await readFile(file, 'utf8'));
    await writeFile(file, JSON.stringify({ ...config, task_type: null, ...change }));
    return folder;
  }
  const bert = { model_type: 'bert', max_position_embeddings: 64 };
  const query = { peft_type: 'LORA', r: 2, target_modules: ['query', 'value'] };

  test("is for the base model's own task", async () => {
    const encoder = await model('encoder', bert);
    const options = { ...query, task_type: 'FEATURE_EXTRACTION' };
    const folder = await trained('embedding', options, encoder, [
      { anchor: 'a', positive: 'b' },
      { anchor: 'c', positive: 'd' },
    ]);
    const scores = async () => {
      const { value } = await scoreTexts({
        base: encoder,
        adapterDir: folder,
        input: [{ text: 'a' }],
      }).next();
      return value;
    };
    const expected = await scores();
    await withoutTask(folder);
    assert.deepEqual(await scores(), expected);
    const report = await inspectAdapter(folder, encoder);
    assert.deepEqual([report.task_type, report.fits!.faults], ['FEATURE_EXTRACTION', []]);
    assert.equal((await inspectAdapter(folder)).task_type, null);
    assert.equal((await readAdapter(folder)).config.task_type, 'CAUSAL_LM');
  });

  test("leaves a classifier's own head as it is", async () => {
    const labels = { architectures: ['BertForSequenceClassification'], num_labels: 3 };
    const classifier = await model('classifier', { ...bert, ...labels });
    const folder = await trained('classes', { ...query, task_type: 'SEQ_CLS' }, classifier, [
      { text: 'a', label: 0 },
      { text: 'b', label: 2 },
    ]);
    const { config, tensors } = await readAdapter(folder);
    // Without a task PEFT saves low-rank pairs and no head.
    const pairs = new Map([...tensors].filter(([key]) => key.includes('lora_')));
    assert.ok(pairs.size > 0 && pairs.size < tensors.size);
    await writeAdapter(at('headless'), { peft: config, baseModelNameOrPath: 'tiny', tensors: pairs });
    await withoutTask(at('headless'), { modules_to_save: null });
    const logits = async (on: BaseModel, adapterDir: string | null) => {
      const { value } = await scoreTexts({ base: on, adapterDir, input: [{ text: 'a word' }] }).next();
      return (value as { logits: number[] }).logits;
    };
    const adapted = await logits(classifier, at('headless'));
    assert.equal(adapted.length, 3);
    const plain = await logits(classifier, null);
    assert.ok(
      adapted.some((x, i) => Math.abs(x - plain[i]!) > 1e-6),
      `${adapted} and ${plain}`,
    );
    await mergeAdapter({ base: classifier, adapterDir: at('headless'), outputDir: at('headless merged') });
    const merged = await openBaseModel(at('headless merged'));
    opened.push(merged);
    const whole = await logits(merged, null);
    assert.ok(
      adapted.every((x, i) => Math.abs(x - whole[i]!) < 1e-4),
      `${adapted} and ${whole}`,
    );
  });
});
