/** Calls every endpoint that Graft shares with OpenAI with OpenAI's official Node client. The tests depend on each other's order. */
import assert from 'node:assert/strict';
import { createReadStream, readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import OpenAI, { toFile } from 'openai';
import { allOf, checkEmbeddings, failsWith, idsOf } from './openai-calls.ts';
import { checkpoint, event, file, job, model, shaped } from './openai-shapes.ts';
import { neverCalled, sharedEndpoints } from './shared-endpoints.ts';
import { type SuiteGraft, startSuiteGraft } from './suite-graft.ts';

let graft: SuiteGraft;
let client: OpenAI;
let data: Buffer;
const requests: [method: string, path: string][] = [];
/** Resources that earlier tests created. */
let trainingFile: string;
let trained: OpenAI.FineTuning.FineTuningJob;
let tuned: string;
let answer: string;

before(async () => {
  graft = await startSuiteGraft();
  data = readFileSync(graft.settings.training_file);
  client = connect(graft.settings.member_key);
});
after(async () => {
  await graft?.close();
});

function connect(apiKey: string, more: ConstructorParameters<typeof OpenAI>[0] = {}): OpenAI {
  const recording: typeof fetch = (input, init) => {
    requests.push([
      init?.method?.toUpperCase() ?? 'GET',
      decodeURIComponent(new URL(String(input)).pathname),
    ]);
    return fetch(input, init);
  };
  const baseURL = graft.settings.base_url;
  return new OpenAI({
    baseURL,
    apiKey,
    fetch: recording,
    maxRetries: 2,
    organization: 'org-1',
    project: 'p',
    ...more,
  });
}

const over = ['succeeded', 'failed', 'cancelled'];
async function until(id: string, statuses: string[]): Promise<OpenAI.FineTuning.FineTuningJob> {
  const end = performance.now() + 300_000;
  for (;;) {
    const now = await client.fineTuning.jobs.retrieve(id);
    if (statuses.includes(now.status)) return now;
    assert.ok(!over.includes(now.status) && performance.now() < end, JSON.stringify(now));
    await sleep(300);
  }
}

const lora = { peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: ['q_proj', 'v_proj'] };

function create(
  body: Partial<OpenAI.FineTuning.JobCreateParams> & {
    peft?: object;
    training?: object;
    sweep?: object;
  } = {},
  from = client,
  options: OpenAI.RequestOptions = {},
) {
  const whole = { model: graft.settings.model, training_file: trainingFile, ...body };
  return from.fineTuning.jobs.create(whole, options);
}

const long = () =>
  create({
    method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 50, batch_size: 1 } } },
    peft: lora,
    training: { precision: 'fp32', learning_rate: 0.0001 },
  });

describe('files', () => {
  test('are created from a stream, a buffer and a Response, retrieved and read', async () => {
    const created = await client.files.create({
      file: createReadStream(graft.settings.training_file),
      purpose: 'fine-tune',
    });
    shaped(created, file);
    assert.equal(created.filename, 'train.jsonl');
    trainingFile = created.id;
    assert.deepEqual(await client.files.retrieve(created.id), created);
    const content = await client.files.content(created.id);
    assert.deepEqual(Buffer.from(await content.arrayBuffer()), data);
    assert.equal((await client.files.waitForProcessing(created.id)).status, 'processed');
    const again = await client.files.create({ file: await toFile(data, 'b.jsonl'), purpose: 'fine-tune' });
    const response = new Response(new Uint8Array(data));
    const third = await client.files.create({
      file: await toFile(response, 'c.jsonl'),
      purpose: 'fine-tune',
    });
    assert.deepEqual([again.bytes, third.bytes], [created.bytes, created.bytes]);
  });

  test('are listed by the page, both ways, and deleted', async () => {
    const listed = await allOf(client.files.list({ limit: 2 }), file);
    assert.deepEqual(
      listed.map(({ filename }) => filename),
      ['c.jsonl', 'b.jsonl', 'train.jsonl'],
    );
    const page = await client.files.list({ limit: 2 });
    assert.equal(page.has_more, true);
    assert.deepEqual(idsOf((await page.getNextPage()).data), [trainingFile]);
    const ascending = await allOf(client.files.list({ limit: 1, order: 'asc', purpose: 'fine-tune' }), file);
    assert.deepEqual(idsOf(ascending), idsOf(listed).reverse());
    for (const id of idsOf(listed).slice(0, 2)) {
      const gone = await client.files.delete(id);
      assert.deepEqual({ ...gone }, { id, object: 'file', deleted: true });
      await failsWith(OpenAI.NotFoundError, () => client.files.content(id), 'file_not_found');
    }
  });

  test('are put together of parts, where this Graft has uploads', async (t) => {
    if (!graft.settings.has_uploads) return t.skip('it has none');
    const mime = { mime_type: 'text/jsonl', purpose: 'fine-tune' as const };
    const opened = await client.uploads.create({ bytes: data.length, filename: 'parts.jsonl', ...mime });
    const half = Math.floor(data.length / 2);
    const parts: string[] = [];
    for (const piece of [data.subarray(0, half), data.subarray(half)]) {
      const part = await client.uploads.parts.create(opened.id, { data: await toFile(piece) });
      parts.push(part.id);
    }
    const done = await client.uploads.complete(opened.id, { part_ids: parts });
    assert.equal(done.status, 'completed');
    shaped(done.file, file);
    await client.files.delete(done.file!.id);
    const other = await client.uploads.create({ bytes: 1, filename: 'no.jsonl', ...mime });
    assert.equal((await client.uploads.cancel(other.id)).status, 'cancelled');
  });
});

describe('jobs', () => {
  test('are created and trained', async () => {
    const created = await create({
      validation_file: trainingFile,
      suffix: 'orchard',
      seed: 7,
      metadata: { fruit: 'apple' },
      method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 4, batch_size: 4 } } },
      peft: lora,
      training: { checkpoint_steps: 5, precision: 'fp32', learning_rate: 0.02 },
    });
    shaped(created, job);
    assert.deepEqual(
      [created.seed, created.metadata, created.validation_file, created.method?.type],
      [7, { fruit: 'apple' }, trainingFile, 'supervised'],
    );
    assert.equal(created.fine_tuned_model, null);
    trained = await until(created.id, ['succeeded']);
    shaped(trained, job);
    assert.match(trained.fine_tuned_model ?? '', /^ft:tiny-llama:orchard:orchard:\w+$/);
    assert.ok((trained.trained_tokens ?? 0) > 500 && (trained.finished_at ?? 0) >= trained.created_at);
    tuned = trained.fine_tuned_model ?? '';
  });

  test('are created once, however often the client tries', async () => {
    let tries = 0;
    const flaky = connect(graft.settings.member_key, {
      fetch: async (input, init) => {
        const response = await fetch(input, init);
        // The response is lost, so the client cannot know whether the job exists.
        if (tries++ === 0) throw new TypeError('terminated');
        return response;
      },
    });
    const created = await create({ hyperparameters: { n_epochs: 1 }, metadata: { fruit: 'pear' } }, flaky);
    assert.equal(tries, 2);
    shaped(created, job);
    assert.deepEqual(idsOf(await allOf(client.fineTuning.jobs.list({ metadata: { fruit: 'pear' } }), job)), [
      created.id,
    ]);
    assert.equal((await until(created.id, ['succeeded'])).hyperparameters.n_epochs, 1);
  });

  test('are listed by the page and by metadata', async () => {
    const listed = await allOf(client.fineTuning.jobs.list({ limit: 1 }), job);
    assert.equal(listed.length, 2);
    assert.equal(listed[1]?.id, trained.id);
    const behind = await allOf(client.fineTuning.jobs.list({ after: listed[0]!.id }), job);
    assert.deepEqual(idsOf(behind), [trained.id]);
    const found = await allOf(client.fineTuning.jobs.list({ metadata: { fruit: 'apple' } }), job);
    assert.deepEqual(idsOf(found), [trained.id]);
  });

  test('list their events and checkpoints by page, newest first', async () => {
    const events = await allOf(client.fineTuning.jobs.listEvents(trained.id, { limit: 100 }), event);
    assert.ok(events.length > 3);
    const paged = await allOf(client.fineTuning.jobs.listEvents(trained.id, { limit: 2 }), event);
    assert.deepEqual(idsOf(paged), idsOf(events));
    const checkpoints = await allOf(client.fineTuning.jobs.checkpoints.list(trained.id), checkpoint);
    assert.ok(checkpoints.length > 1);
    const steps = checkpoints.map(({ step_number }) => step_number);
    assert.deepEqual(
      steps,
      [...steps].sort((a, b) => b - a),
    );
    const byOne = await allOf(client.fineTuning.jobs.checkpoints.list(trained.id, { limit: 1 }), checkpoint);
    assert.deepEqual(idsOf(byOne), idsOf(checkpoints));
  });

  test('are paused, resumed and cancelled; what is not possible is a 400 that nobody tries again', async () => {
    const { id } = await long();
    await until(id, ['running']);
    await client.fineTuning.jobs.pause(id);
    shaped(await until(id, ['paused']), job);
    assert.match((await client.fineTuning.jobs.resume(id)).status, /^(queued|running)$/);
    await until(id, ['running']);
    await client.fineTuning.jobs.cancel(id);
    await until(id, ['cancelled']);
    const before = requests.length;
    for (const verb of ['cancel', 'pause', 'resume'] as const) {
      await failsWith(OpenAI.BadRequestError, () => client.fineTuning.jobs[verb](id), 'invalid_job_state');
    }
    assert.equal(requests.length - before, 3);
  });

  test('learn from preferences', async () => {
    const said = (role: string, content: string) => [{ role, content }];
    const pairs = Array.from({ length: 12 }, (_, i) => ({
      input: { messages: said('user', `How many apples grow on tree ${i}?`) },
      preferred_output: said('assistant', `${i} apples.`),
      non_preferred_output: said('assistant', 'No idea.'),
    }));
    const lines = Buffer.from(pairs.map((pair) => JSON.stringify(pair)).join('\n'));
    const { id: training_file } = await client.files.create({
      file: await toFile(lines, 'pairs.jsonl'),
      purpose: 'fine-tune',
    });
    const hyperparameters = { beta: 0.2, n_epochs: 'auto', batch_size: 4 } as const;
    const created = await create({ training_file, method: { type: 'dpo', dpo: { hyperparameters } } });
    shaped(created, job);
    assert.deepEqual(
      [created.method?.type, created.method?.dpo?.hyperparameters?.beta],
      ['dpo', hyperparameters.beta],
    );
    const done = await until(created.id, ['succeeded']);
    shaped(done, job);
    assert.equal(done.method?.dpo?.hyperparameters?.beta, 0.2);
    const { data: listed } = await client.fineTuning.jobs.list({ limit: 1 });
    assert.deepEqual(listed[0]?.method, done.method);
    await client.models.delete(done.fine_tuned_model!);
    await client.files.delete(training_file);
  });

  test('try several configurations by a field of Graft’s own, and are a job like any other', async () => {
    const created = await create({
      validation_file: trainingFile,
      sweep: { learning_rate: [0.001, 0.01], r: [2, 4] },
    });
    shaped(created, job);
    const done = await until(created.id, ['succeeded']);
    shaped(done, job);
    const events = await allOf(client.fineTuning.jobs.listEvents(created.id, { limit: 100 }), event);
    assert.ok(events.some(({ message }) => /^Trial \d is the best/.test(message)));
    await client.models.delete(done.fine_tuned_model!);
  });
});

describe('models and completions', () => {
  const messages = [{ role: 'user' as const, content: 'How many red apples grow on tree 3?' }];
  const ask = (more: Partial<OpenAI.ChatCompletionCreateParamsNonStreaming> = {}) =>
    client.chat.completions.create({ model: tuned, messages, max_tokens: 12, temperature: 0, ...more });

  test('models are listed and retrieved', async () => {
    const models = await allOf(client.models.list(), model);
    assert.deepEqual(new Set(idsOf(models)).size, models.length);
    for (const id of [graft.settings.model, tuned]) {
      assert.ok(idsOf(models).includes(id));
      const one = await client.models.retrieve(id);
      shaped(one, model);
      assert.equal(one.id, id);
    }
  });

  test('a chat, whole and streamed, continues with its own message', async () => {
    const { data: whole, request_id } = await ask().withResponse();
    assert.ok(request_id);
    assert.ok((await ask({ store: true, metadata: { trace: '1' } }))._request_id);
    const choice = whole.choices[0]!;
    answer = choice.message.content ?? '';
    assert.ok(answer.length > 0 && /^(stop|length)$/.test(choice.finish_reason));
    const { prompt_tokens, completion_tokens, total_tokens, prompt_tokens_details } = whole.usage!;
    assert.equal(total_tokens, prompt_tokens + completion_tokens);
    assert.notEqual((await ask({ model: graft.settings.model })).choices[0]?.message.content, answer);
    const request = { model: tuned, messages, max_completion_tokens: 12, temperature: 0 };
    const stream_options = { include_usage: true };
    const stream = await client.chat.completions.create({ ...request, stream: true, stream_options });
    let text = '';
    let usage: OpenAI.CompletionUsage | undefined;
    for await (const chunk of stream) {
      assert.equal(chunk.object, 'chat.completion.chunk');
      text += chunk.choices[0]?.delta.content ?? '';
      usage = chunk.usage ?? usage;
    }
    assert.equal(text, answer);
    assert.deepEqual({ ...usage, prompt_tokens_details }, whole.usage); // except for the number of cached tokens
    const runner = client.chat.completions.stream({ model: tuned, messages, max_tokens: 12, temperature: 0 });
    assert.equal((await runner.finalChatCompletion()).choices[0]?.message.content, answer);
    const more = await ask({ messages: [...messages, choice.message, { role: 'user', content: 'Sure?' }] });
    assert.equal(typeof more.choices[0]?.message.content, 'string');
  });

  test('n, seed, stop; and a text is continued, whole and streamed', async () => {
    const sampled = { temperature: 1, top_p: 0.9, seed: 5, n: 3, max_tokens: 8 };
    const texts = (await ask(sampled)).choices.map(({ message }) => message.content);
    assert.equal(texts.length, 3);
    assert.ok(new Set(texts).size > 1);
    assert.deepEqual(
      (await ask(sampled)).choices.map(({ message }) => message.content),
      texts,
    );
    const stop = answer.slice(2, 4);
    const cut = (await ask({ stop })).choices[0]!;
    assert.deepEqual([cut.message.content, cut.finish_reason], [answer.split(stop)[0], 'stop']);
    const prompt = { model: tuned, prompt: 'How many', max_tokens: 6, temperature: 0 };
    const whole = await client.completions.create(prompt);
    assert.equal(whole.object, 'text_completion');
    let streamed = '';
    for await (const chunk of await client.completions.create({ ...prompt, stream: true })) {
      streamed += chunk.choices[0]?.text ?? '';
    }
    assert.equal(streamed, whole.choices[0]?.text);
  });

  test('embeddings arrive as numbers', () => checkEmbeddings(client, graft.settings.sentence_model));

  test('faults are the classes that the client has for them', async () => {
    const wrong = connect(`graft_unknown1_${'x'.repeat(32)}`);
    await failsWith(OpenAI.AuthenticationError, () => wrong.models.list(), 'invalid_api_key');
    const viewer = connect(graft.settings.viewer_key);
    await failsWith(OpenAI.PermissionDeniedError, () => create({}, viewer), 'insufficient_role');
    assert.equal((await viewer.fineTuning.jobs.retrieve(trained.id)).id, trained.id);
    await failsWith(OpenAI.BadRequestError, () => create({ model: 'none' }), 'model_not_found');
    await failsWith(OpenAI.BadRequestError, () => ask({ top_logprobs: 2 }), 'invalid_value');
    await failsWith(OpenAI.BadRequestError, () => ask({ n: 1000 }), 'invalid_value');
    await failsWith(OpenAI.NotFoundError, () => ask({ model: 'none' }), 'model_not_found');
    const key = { headers: { 'Idempotency-Key': 'node-suite' } };
    const first = await create({ seed: 1 }, client, key);
    await failsWith(OpenAI.UnprocessableEntityError, () => create({ seed: 2 }, client, key));
    assert.equal((await create({ seed: 1 }, client, key)).id, first.id);
    const other = connect(graft.settings.other_key);
    assert.deepEqual(await allOf(other.fineTuning.jobs.list(), job), []);
    await failsWith(OpenAI.NotFoundError, () => other.fineTuning.jobs.retrieve(trained.id), 'job_not_found');
    await failsWith(OpenAI.NotFoundError, () => other.files.retrieve(trainingFile), 'file_not_found');
    await failsWith(OpenAI.NotFoundError, () => other.models.retrieve(tuned), 'model_not_found');
  });

  test('too many streams are a RateLimitError, and tried again after Retry-After', async () => {
    const { id } = await long();
    const url = `${graft.settings.base_url}/fine_tuning/jobs/${id}/events?stream=true`;
    const hangUp = new AbortController();
    for (let i = 0; i < 2; i++) {
      const headers = { authorization: `Bearer ${graft.settings.member_key}` };
      assert.equal((await fetch(url, { headers, signal: hangUp.signal })).status, 200);
    }
    const streamed = { model: tuned, messages, max_tokens: 2, stream: true as const };
    const limited = await failsWith(
      OpenAI.RateLimitError,
      () => client.chat.completions.create(streamed, { maxRetries: 0 }),
      'too_many_requests',
    );
    assert.ok(Number(limited.headers.get('retry-after')) >= 1);
    const patient = client.chat.completions.create(streamed);
    await Promise.all([patient, sleep(500).then(() => hangUp.abort())]);
    let chunks = 0;
    for await (const _ of await patient) chunks++;
    assert.ok(chunks > 1);
    await client.fineTuning.jobs.cancel(id);
  });

  test('a fine-tuned model is deleted, a base model is not', async () => {
    assert.deepEqual(
      { ...(await client.models.delete(tuned)) },
      { id: tuned, object: 'model', deleted: true },
    );
    await failsWith(OpenAI.NotFoundError, () => client.models.retrieve(tuned), 'model_not_found');
    await failsWith(
      OpenAI.BadRequestError,
      () => client.models.delete(graft.settings.model),
      'model_not_deletable',
    );
  });
});

test('no shared endpoint is left out', () => {
  const shared = sharedEndpoints(graft.routes);
  assert.ok(shared.length >= 18, `only ${shared.length} of ${graft.routes.length} routes`);
  assert.deepEqual(neverCalled(shared, requests), []);
});
