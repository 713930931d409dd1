// The internal HTTP server with a real generator and a tiny but real model.
import assert from 'node:assert/strict';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { parsePeftConfig } from '@graft/peft-core/config';
import { writeAdapter } from '@graft/peft-core/files';
import { generationProtocol, modelDefaultsHeader, protocolHeader, signRequest } from '@graft/service/channel';
import { keepLog } from '@graft/service/testing';
import type { FastifyInstance } from 'fastify';
import { makeApiToken } from '../testing/api-token.ts';
import { openWorkerBench, type WorkerBench } from '../testing/worker-bench.ts';
import { GeneratorProcess } from './generator-process.ts';
import { createInternalServer } from './internal-server.ts';

let bench: WorkerBench;
let generator: GeneratorProcess;
let http: FastifyInstance;
let url: string;
/** The token that identifies the API to this worker. */
let apiToken: string;
let artifact: string;
let base_digest: string;
/** Lines of the worker's log. */
const { log, lines: logged } = keepLog();

before(async () => {
  bench = await openWorkerBench();
  const generationConfig = { eos_token_id: [257], temperature: 5, top_k: 40, repetition_penalty: 1.4 };
  await writeFile(
    join(bench.modelFolder('tiny'), 'generation_config.json'),
    JSON.stringify(generationConfig),
  );
  const tokenizerConfig = join(bench.modelFolder('tiny'), 'tokenizer_config.json');
  const { chat_template, ...others } = JSON.parse(await readFile(tokenizerConfig, 'utf8'));
  await writeFile(
    tokenizerConfig,
    JSON.stringify({ ...others, chat_template: `{{ opening }}${chat_template}` }),
  );
  generator = new GeneratorProcess({
    entry: new URL('./generator.ts', import.meta.url),
    device: { kind: 'cpu' },
    log: bench.services.log,
    limits: { rows: 1 },
    queueLimit: 1,
    waitMilliseconds: 120_000,
    stallMilliseconds: 60_000,
    idleMilliseconds: 60_000,
  });
  http = createInternalServer({ id: 'w1', certificate: null }, { ...bench.services, log }, generator);
  url = `${await http.listen({ host: '127.0.0.1', port: 0 })}/internal/generate`;
  apiToken = await makeApiToken(bench.services, 'w1');
  const folder = await mkdtemp(join(tmpdir(), 'graft-adapter-'));
  await writeAdapter(folder, tinyAdapter());
  artifact = (await bench.services.artifacts.publish(folder)).artifact;
  base_digest = await (await bench.services.baseModels.get('tiny'))!.digest();
});
after(async () => {
  await generator?.close();
  await http?.close();
  await bench?.close();
});

/** An adapter whose updates are as large as the weights, so that its answers differ from the base model's. */
function tinyAdapter(): Parameters<typeof writeAdapter>[1] {
  const peft = parsePeftConfig({
    peft_type: 'LORA',
    r: 2,
    lora_alpha: 64,
    target_modules: ['q_proj', 'v_proj'],
  });
  const tensor = (shape: [number, number], value: (i: number) => number) => ({
    shape,
    data: Float32Array.from({ length: shape[0] * shape[1] }, (_, i) => value(i)),
  });
  const tensors = new Map(
    [0, 1].flatMap((layer) =>
      Object.entries({ q_proj: 32, v_proj: 16 }).flatMap(([module, out]) => {
        const at = `base_model.model.model.layers.${layer}.self_attn.${module}`;
        return [
          [`${at}.lora_A.weight`, tensor([2, 32], Math.sin)],
          [`${at}.lora_B.weight`, tensor([out, 2], Math.cos)],
        ] as const;
      }),
    ),
  );
  const card = { steps: 1, trainedTokens: 1, finalLoss: 1, validationLoss: null };
  return { peft, baseModelNameOrPath: 'tiny', tensors, card };
}

const body = {
  base_model: 'tiny',
  adapter: null as { version_id: string; artifact: string; suspect: boolean; base_digest: string } | null,
  messages: [{ role: 'user', content: 'Hello' }],
  max_tokens: 12,
  temperature: 0,
  top_p: 1,
  stop: [],
  seed: 1,
};

function post(
  change: object = {},
  options: { token?: string; signal?: AbortSignal; protocol?: string | null; modelDefaults?: string } = {},
): Promise<Response> {
  const token = options.token ?? apiToken;
  const { protocol = String(generationProtocol) } = options;
  return fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      ...(protocol === null ? {} : { [protocolHeader]: protocol }),
      ...(options.modelDefaults === undefined ? {} : { [modelDefaultsHeader]: options.modelDefaults }),
    },
    body: JSON.stringify({ ...body, ...change }),
    ...(options.signal ? { signal: options.signal } : {}),
  });
}

// biome-ignore lint/suspicious/noExplicitAny: the lines are what is tested
async function lines(response: Response): Promise<any[]> {
  assert.equal(response.status, 200);
  assert.match(response.headers.get('content-type')!, /^application\/x-ndjson/);
  const text = await response.text();
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

async function answer(change: object = {}, options: Parameters<typeof post>[1] = {}): Promise<string> {
  const events = await lines(await post(change, options));
  assert.equal(events.at(-1).type, 'done', JSON.stringify(events.at(-1)));
  return events
    .filter(({ type }) => type === 'token')
    .map(({ text }) => text)
    .join('');
}

async function untilLoad(load: number): Promise<void> {
  for (let i = 0; generator.load !== load; i++) {
    assert.ok(i < 600, `the load is still ${generator.load}`);
    await sleep(100);
  }
}

describe('internal server', { timeout: 120_000 }, () => {
  it('streams tokens and ends with usage', async () => {
    const events = await lines(await post());
    const { type, finish_reason, usage } = events.at(-1);
    assert.equal(type, 'done');
    assert.ok(['stop', 'length'].includes(finish_reason));
    assert.ok(usage.completion_tokens > 0 && usage.completion_tokens <= 12);
    assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
    assert.ok(events.length > 1);
    assert.deepEqual(generator.bases, ['tiny']);
  });

  it('refuses an adapter of other base weights', async () => {
    const adapter = { version_id: 'adptver-1', artifact, suspect: false, base_digest: '0'.repeat(64) };
    const events = await lines(await post({ adapter }));
    assert.equal(events.at(-1).type, 'error');
    assert.equal(JSON.stringify(events.at(-1)).includes('base_model_changed'), true);
  });

  it('answers with base and adapter in turn, in the same process', async () => {
    const plain = await answer();
    const pid = generator.pid;
    const adapted = await answer({
      adapter: { version_id: 'adptver-1', artifact, suspect: false, base_digest },
    });
    assert.notEqual(adapted, plain);
    assert.equal(await answer(), plain);
    assert.equal(
      await answer({ messages: undefined, prompt: 'Hello' }).then((text) => text.length > 0),
      true,
    );
    assert.equal(generator.pid, pid);
  });

  it('ends before a stop string', async () => {
    const greedy = await answer();
    const at = Math.floor(greedy.length / 2);
    const stop = greedy.slice(at, at + 2);
    const events = await lines(await post({ stop: [stop] }));
    const { type, finish_reason, usage } = events.at(-1);
    assert.deepEqual([type, finish_reason], ['done', 'stop']);
    const text = events.map((event) => event.text ?? '').join('');
    assert.equal(text, greedy.slice(0, greedy.indexOf(stop)));
    assert.ok(usage.completion_tokens < 12, `${usage.completion_tokens} tokens`);
  });

  it('samples by seed and temperature, and with a tiny top_p takes the likeliest token', async () => {
    const greedy = await answer({ max_tokens: 24 });
    const sampled = await answer({ max_tokens: 24, temperature: 1, seed: 7 });
    assert.notEqual(sampled, greedy);
    assert.equal(await answer({ max_tokens: 24, temperature: 1, seed: 7 }), sampled);
    assert.notEqual(await answer({ max_tokens: 24, temperature: 1, seed: 8 }), sampled);
    assert.equal(await answer({ max_tokens: 24, temperature: 1, seed: 7, top_p: 1e-6 }), greedy);
  });

  it("takes the model's own defaults of the parameters that the header names, and no others", async () => {
    const sampled = { max_tokens: 24, temperature: 1, seed: 7 };
    const openAiAnswer = await answer(sampled);
    assert.equal(await answer(sampled, { modelDefaults: '' }), openAiAnswer);
    assert.equal(await answer(sampled, { modelDefaults: 'min_p,seed,__proto__,x' }), openAiAnswer);
    const own = { top_k: 40, repetition_penalty: 1.4 };
    const warm = await answer({ ...sampled, ...own });
    assert.notEqual(warm, openAiAnswer);
    assert.equal(await answer(sampled, { modelDefaults: 'top_k,repetition_penalty' }), warm);
    const hot = await answer(sampled, { modelDefaults: 'temperature,top_p,top_k,min_p,repetition_penalty' });
    assert.equal(hot, await answer({ ...sampled, ...own, temperature: 5 }));
    assert.notEqual(hot, warm);
  });

  it('gives the chat template its variables', async () => {
    const promptTokens = async (change: object) =>
      (await lines(await post({ max_tokens: 1, ...change }))).at(-1).usage.prompt_tokens;
    const bare = await promptTokens({});
    assert.equal(await promptTokens({ chat_template_kwargs: { opening: 'abcde', other: [1] } }), bare + 5);
    const text = { messages: undefined, prompt: 'a', chat_template_kwargs: { opening: 'abcde' } };
    assert.equal((await post(text)).status, 400);
  });

  it('knows the API by its token only', async () => {
    const elsewhere = await makeApiToken(bench.services, 'w2');
    const [, signature] = elsewhere.split('.');
    const strangers = signRequest(
      { versions: [{ version: 1, secret: 'another pepper of 32 characters' }] },
      'w1',
    );
    const forged = `${apiToken.split('.')[0]}.${signature}`;
    const { internalToken } = bench.services.secrets;
    for (const token of ['', 'wrong', 'a.b', internalToken, elsewhere, strangers, forged]) {
      const response = await post({}, { token });
      assert.equal(response.status, 401);
    }
    const none = await fetch(url, {
      method: 'POST',
      body: '{}',
      headers: { 'content-type': 'application/json' },
    });
    assert.equal(none.status, 401);
  });

  it('refuses a body it does not know', async () => {
    for (const change of [
      { surprise: 1 },
      { max_tokens: '5' },
      { top_k: 0.5 },
      { min_p: 2 },
      { repetition_penalty: 0 },
      { prompt: 'both' },
      { adapter: { version_id: 'x', artifact: '../x', suspect: false, base_digest } },
    ]) {
      const response = await post(change);
      assert.equal(response.status, 400, JSON.stringify(change));
      assert.equal(((await response.json()) as { code: string }).code, 'invalid_request');
    }
  });

  it('refuses an API of another version with 503, logs it, and answers one without a number where it can', async () => {
    for (const [protocol, change] of [
      ['2', {}],
      ['0', {}],
      [null, { a_field_of_another_version: 1 }],
    ] as const) {
      logged.length = 0;
      const response = await post(change, { protocol });
      assert.equal(response.status, 503, String(protocol));
      assert.equal(response.headers.get(protocolHeader), String(generationProtocol));
      assert.equal(((await response.json()) as { code: string }).code, 'protocol_mismatch');
      const [line] = logged;
      assert.deepEqual(
        [line!.level, line!.apiProtocol, line!.workerProtocol],
        [50, protocol === null ? null : Number(protocol), generationProtocol],
      );
      assert.match(String(line!.msg), /another version of Graft/);
      assert.equal(logged.length, 1);
    }
    logged.length = 0;
    assert.equal((await lines(await post({}, { protocol: null }))).at(-1).type, 'done');
    for (const wrong of ['x', '1x', '-1', '9'.repeat(99)])
      assert.equal((await post({}, { protocol: wrong })).status, 200, wrong);
    assert.deepEqual(logged, []);
    const token = await post({}, { protocol: '2', token: 'wrong' });
    assert.equal(token.status, 401, 'a caller without the token learns nothing of versions');
    assert.deepEqual(logged, []);
  });

  it('reports an unknown model, a missing adapter and a prompt that is too long as errors in the stream', async () => {
    const [unknown] = await lines(await post({ base_model: 'nobody' }));
    assert.deepEqual([unknown.type, unknown.status, unknown.code], ['error', 404, 'model_not_found']);
    const [missing] = await lines(
      await post({ adapter: { version_id: 'x', artifact: '0'.repeat(64), suspect: false, base_digest } }),
    );
    assert.deepEqual([missing.type, missing.status, missing.code], ['error', 500, 'artifact_missing']);
    const [long] = await lines(await post({ messages: [{ role: 'user', content: 'x'.repeat(5000) }] }));
    assert.deepEqual([long.type, long.status, long.code], ['error', 400, 'context_length_exceeded']);
    // The estimate assumes at most five bytes per token; a shorter prompt is tokenised.
    assert.ok(long.prompt_tokens >= 1000 && long.prompt_tokens < 1010, `${long.prompt_tokens} tokens`);
    const [tokenised] = await lines(await post({ messages: undefined, prompt: 'x'.repeat(1000) }));
    assert.deepEqual([tokenised.code, tokenised.prompt_tokens], ['context_length_exceeded', 1000]);
    assert.ok((await answer()).length >= 0, 'the generator works on');
  });

  it('ends a generation whose client hangs up', async () => {
    const leaving = new AbortController();
    const response = await post({ max_tokens: 230, temperature: 1 }, { signal: leaving.signal });
    await response.body!.getReader().read();
    leaving.abort();
    await untilLoad(0);
  });

  it('says 503 with Retry-After when its queue is full, and answers those that wait', async () => {
    const first = await post({ max_tokens: 230, temperature: 1 });
    const pid = generator.pid!;
    // The generator is frozen during its first answer, so this answer stays open throughout the test.
    process.kill(pid, 'SIGSTOP');
    const accepted = [first, post()];
    await untilLoad(2);
    const refused = await post();
    assert.equal(refused.status, 503);
    assert.ok(Number(refused.headers.get('retry-after')) > 0);
    process.kill(pid, 'SIGCONT');
    for (const response of accepted) assert.equal((await lines(await response)).at(-1).type, 'done');
  });

  it('refuses what a model cannot do before it would wait, or another model be unloaded for it', async () => {
    const first = await post({ max_tokens: 230, temperature: 1 });
    const pid = generator.pid!;
    process.kill(pid, 'SIGSTOP');
    const headers = { authorization: `Bearer ${apiToken}`, 'content-type': 'application/json' };
    for (const adapter of [null, { version_id: 'adptver-1', artifact, suspect: false, base_digest }])
      for (const task of ['embed', 'classify']) {
        const asked = JSON.stringify({ base_model: 'tiny', adapter, task, inputs: ['a'] });
        const response = await fetch(url.replace('generate', 'score'), {
          method: 'POST',
          headers,
          body: asked,
        });
        const [refused] = await lines(response);
        assert.deepEqual([refused.type, refused.status, refused.code], ['error', 400, 'unsupported_task']);
      }
    assert.equal(generator.load, 1, 'nothing waits');
    process.kill(pid, 'SIGCONT');
    assert.equal((await lines(first)).at(-1).type, 'done');
    assert.equal(generator.pid, pid);
  });

  it('recovers from the death of its process', async () => {
    await answer();
    process.kill(generator.pid!, 'SIGKILL');
    for (let i = 0; i < 600 && generator.pid !== null; i++) await sleep(100);
    assert.ok((await answer()).length >= 0);
    const response = await post({ max_tokens: 230, temperature: 1 });
    process.kill(generator.pid!, 'SIGKILL');
    const last = (await lines(response)).at(-1);
    assert.ok(last.type === 'done' || last.status === 503, JSON.stringify(last));
    assert.ok((await answer()).length >= 0);
  });
});
