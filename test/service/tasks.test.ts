/**
 * Jobs other than LoRA on a decoder, through a complete Graft on embedded services: an encoder-decoder, a classifier with bottleneck
 * adapters, and a soft prompt whose requests alternate with those of a LoRA adapter and of the base model; from the upload to answers
 * and downloads.
 */
import assert from 'node:assert/strict';
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type AdapterVersion, type FineTuningJob, GraftApiError, GraftClient } from '@graft/client';
import { writeTinyModel } from '@graft/peft-core/testing';
import { runGraft } from '../../apps/cli/src/testing/run-graft.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import {
  freePort,
  graftEnvironment,
  newBootstrapKey,
  type RunningProcess,
  startProcess,
  whenReady,
} from './running-graft.ts';

const folder = scratchFolder('tasks');
const port = await freePort();
const key = newBootstrapKey();
const baseUrl = `http://127.0.0.1:${port}/v1`;
const client = new GraftClient({ baseUrl, apiKey: key });

const models: Record<string, Record<string, unknown>> = {
  decoder: {},
  encoder: { model_type: 'bert' },
  translator: {
    model_type: 't5',
    d_model: 32,
    d_kv: 8,
    d_ff: 48,
    num_layers: 2,
    num_heads: 4,
    decoder_start_token_id: 258,
  },
};
const colours = ['amber', 'blue', 'cyan'];

/** Base model, method and data lines of each job. */
const jobs = {
  translation: {
    model: 'translator',
    peft: {
      peft_type: 'LORA' as const,
      task_type: 'SEQ_2_SEQ_LM' as const,
      r: 8,
      lora_alpha: 16,
      target_modules: 'all-linear',
    },
    learning_rate: 0.03,
    line: (i: number) => ({ text: `${i} apples`, target: 'ab' }),
  },
  labels: {
    model: 'encoder',
    peft: { peft_type: 'BOTTLENECK' as const, task_type: 'SEQ_CLS' as const, reduction_factor: 4 },
    learning_rate: 0.01,
    line: (i: number) => ({ text: colours[i % 3]!.slice(0, 1).repeat(2 + (i % 4)), label: colours[i % 3] }),
  },
  prompt: {
    model: 'decoder',
    peft: { peft_type: 'PROMPT_TUNING' as const, num_virtual_tokens: 8 },
    learning_rate: 0.3,
    line: (i: number) => ({ prompt: `${i}?`, completion: 'bbbb' }),
  },
  lora: {
    model: 'decoder',
    peft: { peft_type: 'LORA' as const, r: 8, lora_alpha: 16, target_modules: 'all-linear' },
    learning_rate: 0.03,
    line: (i: number) => ({ prompt: `${i}?`, completion: 'cccc' }),
  },
};
type Name = keyof typeof jobs;

let graft: RunningProcess;
const ids = {} as Record<Name, string>;

before(async () => {
  // If Graft runs as root, Postgres runs as a separate user, who must be able to enter this folder.
  await chmod(folder, 0o755);
  for (const [id, config] of Object.entries(models)) await writeTinyModel(join(folder, id), config);
  const entries = Object.keys(models).map((id) => [id, { folder: id }]);
  await writeFile(join(folder, 'base-models.json'), JSON.stringify(Object.fromEntries(entries)));
  graft = startProcess(
    'scripts/start/main.ts',
    [],
    graftEnvironment({
      PORT: String(port),
      GRAFT_DATA_DIR: join(folder, 'data'),
      GRAFT_BASE_MODELS: join(folder, 'base-models.json'),
      GRAFT_BOOTSTRAP_KEY: key,
    }),
  );
  await whenReady(graft, `http://127.0.0.1:${port}/readyz`);
  // All jobs are queued together, so that the worker runs different tasks one after another.
  for (const name of Object.keys(jobs) as Name[]) ids[name] = (await createJob(name)).id;
});

after(async () => {
  const code = await graft.end('SIGTERM');
  assert.equal(code, 0, `Graft stopped with ${code}:\n${graft.tail()}`);
});

test('an encoder-decoder learns from texts and targets, and its adapter completes texts', async () => {
  const { version, model } = await published('translation');
  assert.equal(version.peft.task_type, 'SEQ_2_SEQ_LM');
  assertProven(version);
  const answer = await client.completions.create({ model, prompt: '4 apples', temperature: 0 });
  assert.equal(answer.choices[0]?.text, 'ab');
  assert.equal(answer.choices[0]?.finish_reason, 'stop');
  assert.equal(answer.usage?.prompt_tokens, '4 apples'.length);
  const base = await client.completions.create({ model: 'translator', prompt: '4 apples', temperature: 0 });
  assert.notEqual(base.choices[0]?.text, 'ab');
  assert.deepEqual((await client.completions.create({ model, prompt: '4 apples', temperature: 0 })).choices, [
    answer.choices[0],
  ]);
});

test('a classifier is trained, downloaded, inspected and scores; it writes no text', async () => {
  const { version, model } = await published('labels');
  assertProven(version);
  const files = version.files.map((file) => file.path);
  for (const name of ['adapter.safetensors', 'model_head.safetensors', 'head_config.json']) {
    assert.ok(files.includes(name), `${name} is not among ${files}`);
  }
  for (const ask of [
    () => client.chat.completions.create({ model, messages: [{ role: 'user', content: 'ab' }] }),
    () => client.completions.create({ model, prompt: 'ab' }),
  ]) {
    await assert.rejects(ask, (error: GraftApiError) => {
      assert.ok(error instanceof GraftApiError);
      assert.deepEqual([error.status, error.code, error.param], [400, 'unsupported_task', 'model']);
      assert.match(error.message, /does SEQ_CLS and does not generate text.*POST \/v1\/classify/);
      return true;
    });
  }

  await command('adapters', 'download', model, '--output', 'classifier');
  const head = JSON.parse(await readFile(join(folder, 'classifier/head_config.json'), 'utf8'));
  assert.deepEqual(head.label2id, { amber: 0, blue: 1, cyan: 2 }, JSON.stringify(head));
  const texts = colours.map((colour) => `${JSON.stringify({ text: colour.slice(0, 1).repeat(3) })}\n`);
  await writeFile(join(folder, 'texts.jsonl'), texts.join(''));
  const use = ['--model', 'encoder', '--adapter', 'classifier'];
  const scored = await command('score', ...use, '--input', 'texts.jsonl', '--output', '-');
  const logits: number[][] = scored
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).logits);
  assert.deepEqual(
    logits.map((each) => each.indexOf(Math.max(...each))),
    [0, 1, 2],
    'the classes are those of the training data, in the order of head_config.json',
  );
  assert.ok(logits.every((each) => each.length === colours.length));
  const inspected = await command('inspect', 'classifier', '--model', 'encoder');
  assert.match(inspected, /^ {2}method +.*\(BOTTLENECK\), SEQ_CLS$/m);
  assert.match(inspected, /^ {2}labels +amber, blue, cyan$/m);
  assert.match(inspected, /^ {2}on encoder +fits$/m);
  assert.match(inspected, /^ {2}merges +no: it must be loaded beside the model$/m);
});

test('a soft prompt, a LoRA and their base take turns on one server', async () => {
  const prompt = await published('prompt');
  const lora = await published('lora');
  assertProven(prompt.version);
  const chat = async (model: string) => {
    const messages = [{ role: 'user' as const, content: '2?' }];
    const answer = await client.chat.completions.create({ model, messages, max_tokens: 6, temperature: 0 });
    return answer.choices[0]?.message.content;
  };
  const order = [prompt.model, 'decoder', lora.model, prompt.model, lora.model, 'decoder', prompt.model];
  const said = new Map<string, Set<unknown>>();
  for (const model of order) said.set(model, (said.get(model) ?? new Set()).add(await chat(model)));
  const answers = [...said.values()].map((each) => [...each]);
  assert.ok(
    answers.every((each) => each.length === 1),
    `a model's answer depends on who answered before: ${JSON.stringify([...said].map(([model, set]) => [model, [...set]]))}`,
  );
  assert.equal(new Set(answers.flat()).size, 3, `two of the three say the same: ${JSON.stringify(answers)}`);

  await command('adapters', 'download', prompt.model, '--output', 'prompt');
  const use = ['--model', 'decoder', '--adapter', 'prompt'];
  const here = await command('generate', ...use, '-m', '2?', '--max-tokens', '6', '--json');
  assert.equal(JSON.parse(here).text, answers[0]?.[0]);
});

async function createJob(name: Name): Promise<FineTuningJob> {
  const { model, peft, learning_rate, line } = jobs[name];
  const lines = Array.from({ length: 24 }, (_, i) => JSON.stringify(line(i))).join('\n');
  const file = await client.files.upload({ file: new Blob([lines]), filename: `${name}.jsonl` });
  return client.fineTuning.jobs.create({
    model,
    training_file: file.id,
    suffix: name,
    seed: 5,
    hyperparameters: { batch_size: 8, n_epochs: 20 },
    peft,
    training: { learning_rate, max_seq_length: 48, precision: 'fp32' },
  });
}

/** The version that the job published, once the job has succeeded. */
async function published(name: Name): Promise<{ version: AdapterVersion; model: string }> {
  const deadline = performance.now() + 180_000;
  for (;;) {
    const job = await client.fineTuning.jobs.retrieve(ids[name]);
    if (job.status === 'succeeded') {
      const model = String(job.fine_tuned_model);
      const found = await client.adapters.retrieveVersionOf(model);
      assert.ok(found);
      const versions: AdapterVersion[] = [];
      for await (const each of client.adapters.versions.list(found.adapter_id)) versions.push(each);
      assert.deepEqual(versions, [found]);
      return { version: found, model };
    }
    assert.ok(
      job.status !== 'failed' && job.status !== 'cancelled' && performance.now() < deadline,
      `${name} is ${job.status}: ${JSON.stringify(job.error)}\n${graft.tail()}`,
    );
    await sleep(200);
  }
}

/** Asserts that the published files are the trained model and differ from the base. */
function assertProven(version: AdapterVersion): void {
  const proof = version.metrics?.proof as { live_loss: number; reloaded_loss: number; base_loss: number };
  assert.ok(Math.abs(proof.live_loss - proof.reloaded_loss) <= 1e-4, JSON.stringify(proof));
  assert.ok(proof.base_loss - proof.reloaded_loss > 0.01, JSON.stringify(proof));
}

async function command(...args: string[]): Promise<string> {
  const env = {
    GRAFT_BASE_URL: baseUrl,
    GRAFT_API_KEY: key,
    GRAFT_BASE_MODELS: join(folder, 'base-models.json'),
  };
  const ran = await runGraft(args, { cwd: folder, env });
  assert.equal(ran.code, 0, `graft ${args.join(' ')}: ${ran.stderr}`);
  return ran.stdout;
}
