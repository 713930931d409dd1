// graft inspect of base models: on this machine, and on the Hub, where only headers are read.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import { HubServer } from '@graft/peft-core/testing/hub-server';
import { type Ran, runGraft, temporaryFolder } from '../testing/run-graft.ts';

let folder = '';
let hub: HubServer;
const graft = (...args: string[]): Promise<Ran> =>
  runGraft(args, { cwd: folder, env: { HF_ENDPOINT: hub.endpoint } });

before(async (t) => {
  folder = temporaryFolder(t as never);
  hub = await HubServer.start();
  await writeTinyModel(join(folder, 'model'));
  await writeTinyModel(join(folder, 'encoder'), { model_type: 'bert' });
  await writeTinyModel(join(folder, 'other'));
  const config = JSON.parse(await readFile(join(folder, 'other', 'config.json'), 'utf8'));
  await writeFile(join(folder, 'other', 'config.json'), JSON.stringify({ ...config, model_type: 'newer' }));
});
after(() => hub.stop());

test('a model on this machine: its sizes, tasks and memory', async () => {
  const { code, stdout, stderr } = await graft('inspect', 'model');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^ {2}family +llama$/m);
  assert.match(stdout, /^ {2}tasks +CAUSAL_LM, SEQ_CLS/m);
  assert.match(stdout, /^ {2}memory to train +[\d.]+ [MG]B in bf16, [\d.]+ [MG]B in nf4/m);
  assert.match(stdout, /^ {2}LORA +q_proj, v_proj$/m);
  const report = JSON.parse((await graft('inspect', 'model', '--json')).stdout);
  const weights = Object.values(report.stored as Record<string, number>);
  assert.equal(
    report.parameters,
    weights.reduce((sum, count) => sum + count, 0),
  );
  assert.equal(report.fault, null);
});

test('a model that writes no text: its memory, too', async () => {
  const { code, stdout, stderr } = await graft('inspect', 'encoder');
  assert.equal(code, 0, stderr);
  assert.match(stdout, /^ {2}memory to train +[\d.]+ [MG]B in bf16, [\d.]+ [MG]B in nf4/m);
});

test('a model that cannot be trained: why, and the nearest family', async () => {
  const { code, stdout } = await graft('inspect', 'other');
  assert.equal(code, 0);
  assert.match(stdout, /^ {2}family +newer \(cannot be trained\)$/m);
  assert.match(
    stdout,
    /^ {2}nearest +The nearest supported family is llama, with \d+ weights; the checkpoint has all/m,
  );
});

test('a model on the Hub is inspected without its weights', async () => {
  const names = ['config.json', 'tokenizer.json', 'tokenizer_config.json', 'model.safetensors'];
  for (const name of names) hub.files.set(name, readFileSync(join(folder, 'model', name)));
  const local = JSON.parse((await graft('inspect', 'model', '--json')).stdout);
  const { code, stdout, stderr } = await graft('inspect', 'org/name', '--json');
  assert.equal(code, 0, stderr);
  assert.deepEqual(JSON.parse(stdout), local);
  hub.files.set('model.safetensors', Buffer.alloc(2000, 1));
  const damaged = await graft('inspect', 'org/name');
  assert.equal(damaged.code, 1);
  assert.match(damaged.stderr, /model.safetensors: header of \d+ bytes; at most/);
});

test('neither a model nor an adapter', async () => {
  const none = await graft('inspect', '.');
  assert.equal(none.code, 2, none.stderr);
  assert.match(none.stderr, /has neither adapter_config.json, config.json nor a .gguf file/);
  const compared = await graft('inspect', 'model', '--model', 'model');
  assert.equal(compared.code, 2, compared.stderr);
  assert.match(compared.stderr, /--model is compared with an adapter/);
  const unknown = await graft('inspect', 'nothing-of-this-name');
  assert.equal(unknown.code, 2, unknown.stderr);
  assert.match(
    unknown.stderr,
    /--model must be an existing folder or .gguf file, or a model id .*, got nothing-of-this-name/,
  );
});

test('a model with terms of use names them', async () => {
  const { code, stderr } = await graft('inspect', 'gemma-3-270m');
  assert.equal(code, 2);
  assert.match(stderr, /Gemma Terms of Use apply .* set GRAFT_ACCEPTED_TERMS=gemma-3-270m/);
});
