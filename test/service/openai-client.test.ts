/**
 * OpenAI's official Python client with a complete Graft, on embedded and on external services: files, jobs, events, checkpoints,
 * cancellation, and chat with the adapter. The downloaded adapter gives the same results in HF PEFT.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { openTestServices } from '@graft/service/testing';
import { pythonEnvironment } from '../../scripts/golden/environment/python-environment.ts';
import { writeExamples } from '../golden/fixtures/example-data.ts';
import { graftOutputs, largestDifference } from '../golden/fixtures/graft-outputs.ts';
import { scoreInPython } from '../golden/fixtures/score-in-python.ts';
import { scratchFolder } from '../golden/fixtures/scratch-folder.ts';
import { tinyFixture } from '../golden/fixtures/tiny-fixture.ts';
import {
  freePort,
  graftEnvironment,
  newBootstrapKey,
  type RunningProcess,
  startProcess,
  whenReady,
} from './running-graft.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..');
const fixture = await tinyFixture();
const model = fixture.modelFolder('tied');

/** The output of openai_client.py: only the fields that are checked here. */
type Seen = {
  file: Record<string, unknown>;
  file_retrieved: Record<string, unknown>;
  files: string[];
  content_is_the_file: boolean;
  created: Record<string, unknown>;
  job: Record<string, unknown> & { id: string; status: string; fine_tuned_model: string };
  jobs: string[];
  events: { object: string; message: string; created_at: number }[];
  checkpoints: {
    step_number: number;
    fine_tuned_model_checkpoint: string;
    metrics: { train_loss: number };
  }[];
  checkpoint_chats: string[];
  models: string[];
  seen_running: string;
  cancelled: string;
  cancel_seconds: number;
  model: { id: string };
  chat: {
    choices: { message: { content: string }; finish_reason: string }[];
    usage: { prompt_tokens: number; completion_tokens: number; total_tokens: number };
  };
  streamed: { text: string; finish_reasons: string[]; usage: Record<string, number> };
  base_chat: string;
  completion: { choices: { text: string }[] };
  sampled: string[];
  faults: Record<
    string,
    { type: string; status: number; code: string; param: string; message: string } | null
  >;
  file_deleted: boolean;
};

const given = process.env.DATABASE_URL !== undefined;
/** CI runs this file with both variants. */
const variants = [
  given
    ? { name: 'with given services', services: true }
    : { name: 'with embedded services', services: false },
];

for (const variant of variants) {
  describe(variant.name, () => {
    let services: Awaited<ReturnType<typeof openTestServices>> | undefined;
    let graft: RunningProcess;
    let seen: Seen;
    const folder = scratchFolder('openai');
    const key = newBootstrapKey();
    let baseUrl: string;

    before(async () => {
      const port = await freePort();
      baseUrl = `http://127.0.0.1:${port}/v1`;
      const baseModels = join(folder, 'base-models.json');
      const trainingFile = join(folder, 'train.jsonl');
      await writeFile(baseModels, JSON.stringify({ 'tiny-llama': { folder: model } }));
      await writeExamples(trainingFile, 'chat', 24);
      // If Graft runs as root, Postgres runs as a separate user, who could not enter a folder with mode 0700. Its cluster would then be
      // in another folder and would not be removed.
      await chmod(folder, 0o755);
      if (variant.services) services = await openTestServices({ role: 'admin' });
      graft = startProcess(
        'scripts/start/main.ts',
        [],
        graftEnvironment({
          PORT: String(port),
          GRAFT_DATA_DIR: join(folder, 'data'),
          GRAFT_BASE_MODELS: baseModels,
          GRAFT_BOOTSTRAP_KEY: key,
          DATABASE_URL: services?.env.databaseUrl,
          REDIS_URL: services?.env.redisUrl,
        }),
      );
      await whenReady(graft, `http://127.0.0.1:${port}/readyz`);
      const script = join(import.meta.dirname, 'openai_client.py');
      const { stdout } = await run(
        await pythonEnvironment(),
        [script, baseUrl, key, 'tiny-llama', trainingFile],
        { maxBuffer: 64 * 2 ** 20 },
      ).catch((error: Error) => {
        throw new Error(`${error.message}\nGraft's last lines:\n${graft.tail()}`);
      });
      seen = JSON.parse(stdout);
    });

    after(async () => {
      const code = await graft.end('SIGTERM');
      await services?.close();
      if (!variant.services) {
        const clusters = ['cluster', 'server/cluster'].map((name) => join(folder, 'data/postgres', name));
        assert.ok(clusters.some(existsSync), 'the cluster is not in the folder that goes with this test');
      }
      assert.equal(code, 0, `Graft stopped with ${code}:\n${graft.tail()}`);
    });

    test('files are uploaded, listed, read back and deleted', () => {
      assert.equal(seen.file.object, 'file');
      assert.equal(seen.file.purpose, 'fine-tune');
      assert.deepEqual(seen.file_retrieved.id, seen.file.id);
      assert.ok(seen.files.includes(String(seen.file.id)));
      assert.equal(seen.content_is_the_file, true);
      assert.equal(seen.file_deleted, true);
    });

    test('a job is created, trained and listed, with its events and checkpoints', () => {
      assert.equal(seen.created.object, 'fine_tuning.job');
      assert.match(String(seen.created.status), /^(validating_files|queued|running)$/);
      assert.equal(seen.job.status, 'succeeded', JSON.stringify(seen.job));
      assert.match(seen.job.fine_tuned_model, /^ft:tiny-llama:[^:]+:orchard:[^:]+$/);
      assert.ok(Number(seen.job.trained_tokens) > 1000);
      assert.ok(Number(seen.job.finished_at) > 0);
      assert.ok(seen.jobs.includes(seen.job.id));
      assert.ok(seen.events.length > 3, JSON.stringify(seen.events));
      assert.ok(seen.events.every((event) => event.object === 'fine_tuning.job.event'));
      const steps = seen.checkpoints.map((checkpoint) => checkpoint.step_number);
      // The last steps of the first three epochs, whose adapters are kept; the adapter of the last epoch is the model itself.
      assert.deepEqual(steps, [18, 12, 6]);
      for (const checkpoint of seen.checkpoints) {
        assert.ok(Number.isFinite(checkpoint.metrics.train_loss), JSON.stringify(checkpoint));
        assert.match(checkpoint.fine_tuned_model_checkpoint, /:ckpt-step-\d+$/);
      }
      assert.ok(seen.models.includes('tiny-llama') && seen.models.includes(seen.job.fine_tuned_model));
    });

    test('a running job is cancelled', () => {
      assert.equal(seen.seen_running, 'running');
      assert.equal(seen.cancelled, 'cancelled');
      // The requirement is 2 s; a busy machine gets a little more.
      assert.ok(seen.cancel_seconds < 4, `it took ${seen.cancel_seconds} s`);
    });

    test('the adapter answers, whole and streamed, and is not the base', () => {
      const choice = seen.chat.choices[0];
      assert.ok(choice && choice.message.content.length > 0);
      assert.match(choice.finish_reason, /^(stop|length)$/);
      assert.equal(seen.streamed.text, choice.message.content);
      assert.deepEqual(seen.streamed.finish_reasons, [choice.finish_reason]);
      assert.equal(seen.checkpoint_chats.length, seen.checkpoints.length);
      for (const reason of seen.checkpoint_chats) assert.match(reason, /^(stop|length)$/);
      const { prompt_tokens, completion_tokens, total_tokens } = seen.chat.usage;
      assert.equal(total_tokens, prompt_tokens + completion_tokens);
      assert.deepEqual(seen.streamed.usage.total_tokens, total_tokens);
      assert.notEqual(seen.base_chat, choice.message.content);
      assert.equal(seen.model.id, seen.job.fine_tuned_model);
      assert.ok(seen.completion.choices[0]);
      assert.equal(seen.sampled[0], seen.sampled[1]);
    });

    test('faults arrive as the exceptions that the client has for them', () => {
      const expected: Record<string, [string, number]> = {
        wrong_key: ['AuthenticationError', 401],
        unknown_model: ['NotFoundError', 404],
        unknown_file: ['NotFoundError', 404],
        unknown_job_model: ['BadRequestError', 400],
        unknown_peft_option: ['BadRequestError', 400],
        unimplemented_peft_option: ['BadRequestError', 400],
        unmatched_target_modules: ['BadRequestError', 400],
      };
      for (const [name, [type, status]] of Object.entries(expected)) {
        const fault = seen.faults[name];
        assert.ok(fault, `${name} raised nothing`);
        assert.deepEqual([fault.type, fault.status], [type, status], `${name}: ${JSON.stringify(fault)}`);
        assert.ok(fault.code, `${name} has no code`);
      }
      assert.match(String(seen.faults.unknown_peft_option?.message), /rank/);
      assert.match(String(seen.faults.unmatched_target_modules?.message), /q_proj/);
    });

    test('the downloaded adapter loads in HF PEFT and scores as in Graft', async () => {
      const adapter = join(folder, 'adapter');
      await run(
        process.execPath,
        [
          join(root, 'apps/cli/bin/graft.mjs'),
          'adapters',
          'download',
          seen.job.fine_tuned_model,
          '--output',
          adapter,
        ],
        { env: { ...process.env, GRAFT_BASE_URL: baseUrl, GRAFT_API_KEY: key } },
      );
      const inputs = [Array.from({ length: 40 }, (_, i) => 4 + ((i * 31) % 300))];
      const [inPeft, inBase] = await scoreInPython([
        { model, adapter, inputs },
        { model, adapter: null, inputs },
      ]);
      assert.ok(inPeft && inBase);
      assert.deepEqual(inPeft.mismatch, { missing: [], unexpected: [], shapes: [], values: [] });
      assert.ok(largestDifference(inPeft.logprobs, inBase.logprobs) > 0.01);
      const difference = largestDifference(inPeft.logprobs, await graftOutputs(model, adapter, inputs));
      assert.ok(difference < 1e-4, `log-probabilities differ by ${difference}`);
    });
  });
}
