import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { defaultPeft, parsePeftConfig, resolveTraining } from '@graft/peft-core/config';
import { writeTinyModel } from '@graft/peft-core/testing';
import { packTokenizer, type TokenizerFiles } from '@graft/peft-core/text';
import { ThreadTimeout } from '@graft/peft-core/threads';
import { createFileThreads, ThreadDied } from './file-threads.ts';
import type { TaskTokenizer } from './task-tokenizer.ts';
import type { ValidationTask } from './validation-task.ts';

let folder: string;
let task: ValidationTask & TaskTokenizer;
let tokenizerFiles: TokenizerFiles;
const packed = (each: TokenizerFiles) => packTokenizer(each).json;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-validate-'));
  await writeTinyModel(folder);
  const json = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8'));
  tokenizerFiles = {
    tokenizerJson: await json('tokenizer.json'),
    tokenizerConfig: await json('tokenizer_config.json'),
    chatTemplate: '{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}',
  };
  const line = '{"messages":[{"role":"user","content":"a"},{"role":"assistant","content":"b"}]}\n';
  await writeFile(join(folder, 'train.jsonl'), line.repeat(5000));
  const peft = parsePeftConfig(defaultPeft);
  task = {
    trainingFile: join(folder, 'train.jsonl'),
    validationFile: null,
    tokenizerKey: 'tiny',
    chatTemplate: null,
    tokenizerFiles: packed(tokenizerFiles),
    method: 'supervised',
    modelConfig: await json('config.json'),
    peft,
    maxSeqLength: 64,
    overlong: 'error',
    allowSpecialTokens: false,
    templateKwargs: {},
    textStride: 0,
    repeatsBos: false,
    sample: { sampleKey: 'train', training: resolveTraining({ peft, exampleCount: 5000 }) },
  };
});
after(async () => await rm(folder, { recursive: true, force: true }));

const quiet = (timeoutMs = 600_000) => ({
  signal: new AbortController().signal,
  onProgress: () => {},
  timeoutMs,
});

test('several files are read at once; a thread keeps its tokenizer; one that was stopped is replaced', async () => {
  const files = createFileThreads({ heapMb: 512 });
  try {
    const training = { examples: 5000, truncated: 0, skipped: 0, special_tokens: 0 };
    const ok = {
      ok: true,
      tokens: 95_000,
      counts: { training, validation: null, overlap: null, longest: 19 },
    };
    assert.deepEqual(await Promise.all([files.validate(task, quiet()), files.validate(task, quiet())]), [
      ok,
      ok,
    ]);
    assert.deepEqual(await files.validate(task, quiet()), ok);
    const opening = { ...task, tokenizerKey: 'opening', templateKwargs: { opening: 'abc' } };
    const chatTemplate = `{{ opening }}${tokenizerFiles.chatTemplate}`;
    opening.tokenizerFiles = packed({ ...tokenizerFiles, chatTemplate });
    const longer = { ...ok, tokens: 95_000 + 3 * 5000, counts: { ...ok.counts, longest: 19 + 3 } };
    assert.deepEqual(await files.validate(opening, quiet()), longer);
    const stop = new AbortController();
    // Stops within slow lines, each within the limits of a template.
    const template = '{% for i in range(60000) %}{% endfor %}{{ messages[0].content }}';
    const endless = { ...task, tokenizerKey: 'endless' };
    endless.tokenizerFiles = packed({ ...tokenizerFiles, chatTemplate: template });
    const stopped = files.validate(endless, { ...quiet(), signal: stop.signal });
    setTimeout(() => stop.abort(new Error('enough')), 500);
    await assert.rejects(stopped, { message: 'enough' });
    await assert.rejects(files.validate(endless, quiet(1)), ThreadTimeout);
    assert.deepEqual(await files.validate(task, quiet()), ok);
  } finally {
    await files.close();
  }
});

test('an estimate reads no file that its thread has just validated', async () => {
  const files = createFileThreads({ heapMb: 512 });
  const { sample, ...what } = task;
  const gone = {
    ...what,
    trainingFile: join(folder, 'gone.jsonl'),
    live: [],
    trials: [],
    method: 'supervised',
    lengthRead: 64,
    leavesLength: true,
    leavesCheckpointing: true,
  };
  const counts = { training_file: [5000], validation_file: [] };
  const options = { signal: new AbortController().signal, timeoutMs: 60_000 };
  const estimate = async (sampleKey: string) =>
    await files.estimate({ ...gone, counts, training: sample.training, sampleKey }, options);
  try {
    assert.equal((await files.validate(task, quiet())).ok, true);
    const report = await estimate(sample.sampleKey);
    assert.ok(report.ok);
    // Three epochs of 5,000 lines, eight per step.
    assert.deepEqual([report.estimate.steps, report.estimate.tokens], [1875, 285_000]);
    // Nineteen tokens, rounded up.
    assert.equal(report.training.max_seq_length, 24);
    await assert.rejects(estimate('another'), /ENOENT/);
  } finally {
    await files.close();
  }
});

test('a thread without memory is a fault that says so, and the process lives', async () => {
  const files = createFileThreads({ heapMb: 8 });
  // The threads do not keep the process alive.
  const alive = setInterval(() => {}, 1000);
  try {
    for (let i = 0; i < 2; i++)
      await assert.rejects(files.validate(task, quiet()), (error: Error) => {
        assert.ok(error instanceof ThreadDied);
        assert.match(error.message, /ran out of memory/);
        return true;
      });
  } finally {
    clearInterval(alive);
    await files.close();
  }
});
