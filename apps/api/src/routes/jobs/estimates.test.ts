import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { writeTinyModel } from '@graft/peft-core/testing';
import type { WorkerCapabilities } from '@graft/service/jobs';
import { registerWorker, removeWorker, setWorkerService } from '@graft/service/workers';
import { assertError } from '../../testing/assert-error.ts';
import {
  type ApiBench,
  answerOf,
  type Caller,
  chatLine,
  openApiBench,
} from '../../testing/open-api-bench.ts';

const path = '/v1/fine_tuning/estimates';
/** Takes nearly the maximum steps of a template, for each line. */
const slowTemplate = "{% for i in range(45000) %}{{ '' }}{% endfor %}{{ messages[0].content }}";

let folder: string;
let bench: ApiBench;
let lines: string;
let manyLines: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-estimates-'));
  await writeTinyModel(join(folder, 'tiny'), { max_position_embeddings: 64 });
  await writeTinyModel(join(folder, 'slow'));
  await writeFile(join(folder, 'slow', 'chat_template.jinja'), slowTemplate);
  const models = join(folder, 'base-models.json');
  await writeFile(models, JSON.stringify({ tiny: { folder: 'tiny' }, slow: { folder: 'slow' } }));
  bench = await openApiBench({ estimateTimeoutMs: 4000 }, { GRAFT_BASE_MODELS: models });
  lines = await bench.acme.upload(`${chatLine}\n`.repeat(20));
  manyLines = await bench.acme.upload(`${chatLine}\n`.repeat(3000));
});
after(async () => {
  await bench?.close();
  await rm(folder, { recursive: true, force: true });
});

const ask = async (body: object, team: Caller = bench.acme) =>
  await team.send('POST', path, { model: 'tiny', training_file: lines, ...body });

/** Runs `body` while workers with these capabilities are live. */
async function withWorkers(all: (Partial<WorkerCapabilities> | null)[], body: () => Promise<void>) {
  const ids = all.map((_, i) => `worker-${i}`);
  const usual = { device: 'cpu', threads: 2, precisions: ['fp32'] } satisfies WorkerCapabilities;
  for (const [i, id] of ids.entries()) {
    const capabilities = all[i] ? { ...usual, ...all[i] } : null;
    const where = { address: null, hostname: 'test', pid: process.pid, slots: 1 };
    await registerWorker(bench.services, { id, ...where, capabilities });
  }
  try {
    await body();
  } finally {
    for (const id of ids) await removeWorker(bench.services, id);
  }
}

test('an estimate of a job without any live worker', async () => {
  const { status, json, text } = await ask({});
  assert.equal(status, 200, text);
  const { trainable_parameters, total_parameters, peak_memory_bytes, tokens, steps, ...rest } = json;
  for (const number of [trainable_parameters, total_parameters, peak_memory_bytes, tokens])
    assert.ok(Number.isSafeInteger(number) && number > 0, `${number}`);
  // Six epochs, the default for few and short examples, of 20 examples, eight per step.
  assert.equal(steps, 18);
  assert.deepEqual(rest, {
    object: 'fine_tuning.estimate',
    seconds: null,
    fits: null,
    changes: [],
    workers: 0,
    memory_bytes: null,
    device: 'cpu',
    precision: 'fp32',
    warnings: [],
  });
  const { rows } = await bench.services.sql.query('SELECT count(*)::int AS jobs FROM jobs');
  assert.deepEqual(rows, [{ jobs: 0 }]);
});

describe('the worker that it is computed for', () => {
  const most = 64e9;
  const need = async () => (await ask({})).json.peak_memory_bytes as number;

  test('the fastest in which it fits', async () => {
    const slow = { memoryBytes: most, flops: { fp32: 1e9 } };
    const small = { memoryBytes: 1, flops: { fp32: 1e12 } };
    const fast = { memoryBytes: most / 2, flops: { fp32: 1e10 } };
    await withWorkers([slow], async () => {
      const { json } = await ask({});
      assert.deepEqual([json.fits, json.memory_bytes, json.workers], [true, most, 1]);
      assert.ok(json.seconds > 0);
      await withWorkers([slow, small, fast], async () => {
        const { json: better } = await ask({});
        assert.ok(better.seconds < json.seconds, `${better.seconds} s and not ${json.seconds} s`);
        assert.deepEqual([better.fits, better.memory_bytes, better.workers], [true, most, 3]);
      });
    });
  });

  test('where none has room, the one with the most, with what would help', async () => {
    const little = (await need()) - 1;
    await withWorkers([{ memoryBytes: 1 }, { memoryBytes: little }], async () => {
      const kept = { gradient_checkpointing: false };
      const { json } = await ask({ training: kept });
      assert.deepEqual([json.fits, json.memory_bytes], [false, little]);
      assert.ok(json.changes.length > 0);
      for (const { training, peak_memory_bytes } of json.changes) {
        assert.ok(peak_memory_bytes <= little);
        assert.equal(
          (await ask({ training: { ...kept, ...training } })).json.fits,
          true,
          JSON.stringify(training),
        );
      }
    });
    await withWorkers([{ memoryBytes: 1 }], async () => {
      assert.deepEqual((await ask({})).json.changes, []);
    });
  });

  test('on a GPU by the memory of its card', async () => {
    const card = { device: 'gpu', kernels: ['stock'], memoryBytes: 24e9 } as const;
    const gpu = { ...card, kernels: [...card.kernels] };
    await withWorkers([gpu], async () => {
      const { json } = await ask({});
      assert.deepEqual([json.fits, json.device, json.memory_bytes], [true, 'gpu', 24e9]);
      // Memory of a tiny model. On a CPU, Node and the TensorFlow library would add to it.
      assert.ok(json.peak_memory_bytes > 100e3 && json.peak_memory_bytes < 10e6, json.peak_memory_bytes);
    });
    await withWorkers([{ ...gpu, memoryBytes: 50e3 }], async () => {
      const { json } = await ask({});
      assert.deepEqual([json.fits, json.changes], [false, []]);
    });
  });

  test('whether it fits is unknown while a worker does not report its memory', async () => {
    for (const silent of [{}, null])
      await withWorkers([{ memoryBytes: 1 }, silent], async () => {
        const { json } = await ask({});
        assert.deepEqual([json.fits, json.memory_bytes, json.workers], [null, 1, 2]);
      });
  });

  test('by precision, and none that takes no jobs', async () => {
    const bf16 = { precisions: ['bf16', 'fp32'], memoryBytes: most, flops: { bf16: 1e11 } } as const;
    await withWorkers([{ ...bf16, precisions: [...bf16.precisions] }, { memoryBytes: 1 }], async () => {
      const { json } = await ask({});
      assert.deepEqual([json.precision, json.fits], ['bf16', true]);
      const only = (await ask({ training: { precision: 'bf16' } })).json;
      assert.deepEqual([only.precision, only.workers], ['bf16', 1]);
      const { services } = bench;
      await setWorkerService(services, 'worker-0', { quarantine: 'test' }, null);
      const left = (await ask({})).json;
      assert.deepEqual([left.precision, left.fits, left.workers], ['fp32', false, 1]);
      const nobody = (await ask({ training: { precision: 'bf16' } })).json;
      assert.deepEqual([nobody.precision, nobody.fits, nobody.workers], ['bf16', null, 0]);
      await setWorkerService(services, 'worker-0', 'release', null);
    });
  });
});

describe('what is refused', () => {
  test('all that a new job is refused for', async () => {
    assertError(await ask({ model: 'none' }), 400, 'model_not_found', 'model');
    assertError(await ask({ training_file: 'file-none' }), 400, 'file_not_found', 'training_file');
    assertError(await ask({ peft: { peft_type: 'LORA', r: 0 } }), 400, 'invalid_peft_config', 'peft.r');
    assertError(await ask({ suffix: 'x' }), 400, 'unknown_parameter', 'suffix');
    const split = { training: { early_stopping_patience: 1 } };
    assertError(await ask(split), 400, 'invalid_training_option', 'training.early_stopping_patience');
  });

  test("another team's file is one that is not there", async () => {
    const theirs = assertError(await ask({}, bench.other), 400, 'file_not_found', 'training_file');
    assert.equal(theirs, `No such file: ${lines}`);
  });

  test('lines that a job would be refused for', async () => {
    const asked = (completion: string) => JSON.stringify({ prompt: 'x', completion });
    const file = await bench.acme.upload(`${asked('fine')}\n${asked('x'.repeat(99))}\n`);
    const message = assertError(
      await ask({ training_file: file }),
      400,
      'invalid_training_file',
      'training_file',
    );
    assert.equal(message, 'line 2 has 101 tokens; the limit (max_seq_length) is 64');
  });

  test('a key without jobs:read', async () => {
    const uploader = await bench.caller(bench.acme, 'member', { scopes: ['files:write', 'jobs:write'] });
    assertError(await ask({}, uploader), 403, 'insufficient_scope');
    const reader = await bench.caller(bench.acme, 'viewer', { scopes: ['jobs:read'] });
    assert.equal((await ask({}, reader)).status, 200);
  });
});

describe('what it may cost', () => {
  test('of a large file with long lines a part is read', async () => {
    const id = 'y'.repeat(3.9 * 2 ** 20);
    const training_file = await bench.acme.upload(`${JSON.stringify({ id, text: 'abc' })}\n`.repeat(16));
    const { json } = await ask({ training_file });
    // Six epochs, the default for few and short examples, of 16 lines with four tokens.
    assert.deepEqual([json.tokens, json.steps], [384, 12]);
  });

  /** A request that takes longer than the maximum duration of an estimate. */
  const slow = async (signal: AbortSignal) => {
    const response = await fetch(bench.url + path, {
      method: 'POST',
      headers: { authorization: `Bearer ${bench.acme.key}`, 'content-type': 'application/json' },
      body: JSON.stringify({ model: 'slow', training_file: manyLines }),
      signal,
    });
    return await answerOf(response);
  };

  test('slow lines end at the deadline', async () => {
    const message = assertError(
      await ask({ model: 'slow', training_file: manyLines }),
      503,
      'estimate_timeout',
      'training_file',
    );
    assert.match(message, /took more than 4 s twice/);
  });

  test('few of a team wait, no other team waits for them, and no work is done for a disconnected client', async () => {
    const theirs = await bench.other.upload(`${chatLine}\n`);
    const gone = new AbortController();
    const all = Array.from({ length: 8 }, () => slow(gone.signal));
    const settled = Promise.allSettled(all);
    const quick = await ask({ training_file: theirs }, bench.other);
    assert.equal(quick.status, 200, quick.text);
    gone.abort();
    const before = performance.now();
    // The server notices a moment later that the clients are gone.
    while ((await ask({})).status === 429) await sleep(50);
    assert.ok(performance.now() - before < 12_000, 'it waits for no deadline');
    // One was running, and four waited.
    const answers = (await settled).flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    assert.equal(answers.length, 3);
    for (const answer of answers) {
      assertError(answer, 429, 'too_many_requests');
      assert.equal(answer.headers.get('retry-after'), '5');
    }
  });
});
