/**
 * Adapters that compute embeddings and classes, through a complete Graft: trained by jobs, called by two teams, by a limited key, within a
 * budget, with 2,048 texts at once, and wrongly. Expected numbers are those of `graft score` on the downloaded adapters.
 */
import assert from 'node:assert/strict';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { GraftClient } from '@graft/client';
import { writeTinyModel } from '@graft/peft-core/testing';
import { createApiKey } from '@graft/service/keys';
import type { Services } from '@graft/service/services';
import { createTeam } from '@graft/service/teams';
import { openTestServices } from '@graft/service/testing';
import { removeBudget, setBudget, setPrice } from '@graft/service/usage';
import { callTool, connectAgent } from '../../apps/api/src/testing/agent.ts';
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
import { colours, scoresOfDownload, textJobs } from './text-jobs.ts';

const folder = scratchFolder('texts');
type Name = keyof typeof textJobs;

let services: Services;
let graft: RunningProcess;
let origin: string;
let team: string;
const models = {} as Record<Name, string>;
let client: GraftClient;
let key: string;
let stranger: GraftClient;

before(async () => {
  await writeTinyModel(join(folder, 'tiny'));
  await writeTinyModel(join(folder, 'encoder'), { model_type: 'bert', max_position_embeddings: 256 });
  const prompted = join(folder, 'prompted');
  await cp(join(folder, 'encoder'), prompted, { recursive: true });
  const prompts = { query: 'query: ', document: 'passage: ' };
  const sentences = { prompts, default_prompt_name: 'document' };
  await writeFile(join(prompted, 'config_sentence_transformers.json'), JSON.stringify(sentences));
  const entries = {
    tiny: { folder: join(folder, 'tiny') },
    encoder: { folder: join(folder, 'encoder') },
    prompted: { folder: prompted },
  };
  await writeFile(join(folder, 'base-models.json'), JSON.stringify(entries));
  services = await openTestServices({ role: 'admin' });
  const port = await freePort();
  origin = `http://127.0.0.1:${port}`;
  graft = startProcess(
    'scripts/start/main.ts',
    [],
    graftEnvironment({
      PORT: String(port),
      GRAFT_DATA_DIR: services.env.dataDir,
      GRAFT_BASE_MODELS: join(folder, 'base-models.json'),
      GRAFT_BOOTSTRAP_KEY: newBootstrapKey(),
      DATABASE_URL: services.env.databaseUrl,
      REDIS_URL: services.env.redisUrl,
    }),
  );
  await whenReady(graft, `${origin}/readyz`);
  team = (await createTeam(services, { name: 'acme' })).id;
  key = await keyOf(team);
  client = clientOf(key);
  stranger = clientOf(await keyOf((await createTeam(services, { name: 'other' })).id));
  const ids = new Map<Name, string>();
  for (const name of Object.keys(textJobs) as Name[]) ids.set(name, await createJob(name));
  for (const [name, id] of ids) models[name] = await modelOf(id);
});
after(async () => {
  const code = await graft?.end('SIGTERM');
  await services?.close();
  assert.equal(code, 0, `Graft stopped with ${code}:\n${graft?.tail()}`);
});

const clientOf = (apiKey: string) => new GraftClient({ baseUrl: `${origin}/v1`, apiKey, maxRetries: 0 });
const keyOf = async (teamId: string, limits: { models?: string[] } = {}) =>
  (await createApiKey(services, teamId, { name: 'key', role: 'member', ...limits })).key;

async function createJob(name: Name): Promise<string> {
  const { model, task, line } = textJobs[name];
  const lines = Array.from({ length: 24 }, (_, i) => JSON.stringify(line(i))).join('\n');
  const file = await client.files.upload({ file: new Blob([lines]), filename: `${name}.jsonl` });
  const target_modules = model === 'encoder' ? ['query', 'value'] : ['q_proj', 'v_proj'];
  const job = await client.fineTuning.jobs.create({
    model,
    training_file: file.id,
    suffix: name,
    peft: { peft_type: 'LORA', task_type: task, r: 4, lora_alpha: 8, target_modules },
    training: { n_epochs: 3, batch_size: 8, learning_rate: 0.02, precision: 'fp32' },
  });
  return job.id;
}

async function modelOf(id: string): Promise<string> {
  const deadline = performance.now() + 300_000;
  for (;;) {
    const job = await client.fineTuning.jobs.retrieve(id);
    if (job.status === 'succeeded') return String(job.fine_tuned_model);
    const isLate = performance.now() > deadline || ['failed', 'cancelled'].includes(job.status);
    assert.ok(!isLate, `${id} is ${job.status}: ${JSON.stringify(job.error)}\n${graft.tail()}`);
    await sleep(200);
  }
}

const texts = Array.from({ length: 40 }, (_, i) => 'Ada lives 7, '.repeat(1 + (i % 9)) + i);

const localScores = async (name: Name, input: readonly string[]) => {
  const env = { GRAFT_BASE_URL: `${origin}/v1`, GRAFT_API_KEY: key };
  return await scoresOfDownload({ folder, env }, models[name], input);
};

const furthest = (a: readonly number[], b: readonly number[]): number => {
  assert.equal(a.length, b.length);
  return a.reduce((most, x, i) => Math.max(most, Math.abs(x - b[i]!)), 0);
};

const fails = (call: () => Promise<unknown>, status: number, code: string, message: RegExp) =>
  assert.rejects(call, (error: { status: number; code: string; message: string }) => {
    assert.deepEqual([error.status, error.code], [status, code], error.message);
    assert.match(error.message, message);
    return true;
  });

describe('prompts', () => {
  const vectors = async (input: string[], more: object = {}) => {
    const { data, usage } = await client.embeddings.create({ model: 'prompted', input, ...more });
    return { vectors: data.map(({ embedding }) => embedding), tokens: usage.prompt_tokens };
  };

  test('stand before each text, by name or by default, and their tokens are metered', async () => {
    const plain = await vectors(['query: Ada', 'passage: Ada', 'Ada'], { prompt_name: '' });
    const asked = await vectors(['Ada'], { prompt_name: 'query' });
    assert.deepEqual(asked.vectors[0], plain.vectors[0]);
    assert.equal(asked.tokens, 'query: Ada'.length);
    assert.deepEqual((await vectors(['Ada'])).vectors[0], plain.vectors[1]);
    assert.notDeepEqual(plain.vectors[1], plain.vectors[2]);
  });

  test('of other names are refused with those that there are, and token ids have none', async () => {
    const unknown = () => vectors(['Ada'], { prompt_name: 'passage' });
    await fails(unknown, 400, 'unknown_prompt', /no prompt "passage"; its prompts are query, document/);
    const ids = () => client.embeddings.create({ model: 'prompted', input: [5, 6], prompt_name: 'query' });
    await fails(ids, 400, 'unsupported_input', /token ids, which have no prompt/);
    const none = () => client.embeddings.create({ model: 'encoder', input: 'Ada', prompt_name: 'query' });
    await fails(none, 400, 'unknown_prompt', /it has none/);
  });

  test('of the base model are those of a job, are shown in it, and stay with the adapter', async () => {
    const lines = Array.from({ length: 8 }, (_, i) =>
      JSON.stringify({ anchor: `a ${i}`, positive: `b ${i}` }),
    );
    const file = await client.files.upload({ file: new Blob([lines.join('\n')]), filename: 'pairs.jsonl' });
    const job = (training: object) =>
      client.fineTuning.jobs.create({
        model: 'prompted',
        training_file: file.id,
        peft: { peft_type: 'LORA', task_type: 'FEATURE_EXTRACTION', r: 2, target_modules: ['query'] },
        training: { max_steps: 1, precision: 'fp32', ...training },
      });
    const misspelt = job({ prompts: { anchor: 'qeury', answer: 'x: ' } });
    await fails(
      () => misspelt,
      400,
      'invalid_training_option',
      /prompts\.anchor.*query, document.*prompts\.answer.*anchor/s,
    );
    const [usual, own] = [await job({}), await job({ prompts: { anchor: 'document', positive: '' } })];
    const model = await modelOf(usual.id);
    const shown = async ({ id }: { id: string }) => await client.fineTuning.jobs.retrieve(id);
    const { training, training_reasons } = await shown(usual);
    const { prompts } = training!;
    assert.equal(training_reasons?.prompts, 'those of the base model');
    assert.deepEqual(prompts, { anchor: 'query: ', positive: 'passage: ', negative: 'passage: ' });
    const served = (more: object) => client.embeddings.create({ model, input: 'Ada', ...more });
    const [query, text] = [await served({ prompt_name: 'query' }), await served({ prompt_name: '' })];
    assert.notDeepEqual(query.data, text.data);
    await modelOf(own.id);
    assert.deepEqual((await shown(own)).training!.prompts, { anchor: 'passage: ' });
  });
});

describe('embeddings', () => {
  const embed = (more: object = {}, by = client) =>
    by.embeddings.create({ model: models.vectors, input: texts, ...more });

  test('are those of graft score, as numbers and as float32 in base64', async () => {
    const [wanted, { data, usage, model }] = [await localScores('vectors', texts), await embed()];
    assert.equal(model, models.vectors);
    assert.deepEqual(
      data.map(({ index }) => index),
      texts.map((_, i) => i),
    );
    for (const [i, { embedding }] of data.entries())
      assert.ok(furthest(embedding, wanted[i]!.embedding) < 1e-5, `text ${i}`);
    assert.equal(usage.prompt_tokens, texts.join('').length);
    const packed = await embed({ encoding_format: 'base64' });
    for (const [i, { embedding }] of packed.data.entries()) {
      const bytes = Buffer.from(String(embedding), 'base64');
      const numbers = Array.from({ length: bytes.length / 4 }, (_, j) => bytes.readFloatLE(4 * j));
      assert.ok(furthest(numbers, data[i]!.embedding) < 1e-8);
    }
  });

  test('of fewer dimensions are cut and have length 1', async () => {
    const [whole, short] = [await embed(), await embed({ dimensions: 5 })];
    for (const [i, { embedding }] of short.data.entries()) {
      const cut = whole.data[i]!.embedding.slice(0, 5);
      assert.ok(
        furthest(
          embedding,
          cut.map((x) => x / Math.hypot(...cut)),
        ) < 1e-6,
      );
    }
    await fails(() => embed({ dimensions: 33 }), 400, 'invalid_value', /'dimensions' is 33.*have 32 numbers/);
  });

  test('of token ids are those of their text', async () => {
    const ids = [...Buffer.from('Ada')];
    const [text, one, several] = [
      await embed({ input: 'Ada' }),
      await embed({ input: ids }),
      await embed({ input: [ids, ids] }),
    ];
    assert.deepEqual(one.data, text.data);
    assert.deepEqual(several.data[1]!.embedding, text.data[0]!.embedding);
    await fails(
      () => embed({ input: [ids, [1, 100_000]] }),
      400,
      'invalid_token_id',
      /input\[1\] has 100000 at position 1; token ids of this model are 0 to \d+/,
    );
  });

  test('of 2,048 texts at once arrive whole, one more is refused', async () => {
    const input = Array.from({ length: 2048 }, (_, i) => `text ${i}`);
    const { data, usage } = await embed({ input });
    assert.equal(data.length, 2048);
    assert.equal(usage.prompt_tokens, input.join('').length);
    const [alone] = (await embed({ input: 'text 2047' })).data;
    assert.deepEqual(data[2047]!.embedding, alone!.embedding);
    await fails(() => embed({ input: [...input, 'x'] }), 400, 'invalid_value', /input/);
  });

  test('of the base model need no adapter, and a chat adapter has none', async () => {
    assert.equal((await embed({ model: 'encoder' })).data.length, texts.length);
    await fails(
      () => embed({ model: models.chat }),
      400,
      'unsupported_task',
      /does CAUSAL_LM and computes no embeddings; call it with POST \/v1\/chat\/completions/,
    );
    await fails(
      () => embed({ model: 'tiny' }),
      400,
      'unsupported_task',
      /does CAUSAL_LM and computes no embeddings/,
    );
    await fails(() => embed({ model: models.classes }), 400, 'unsupported_task', /POST \/v1\/classify/);
    const messages = [{ role: 'user' as const, content: 'Hi' }];
    await fails(
      () => client.chat.completions.create({ model: models.vectors, messages }),
      400,
      'unsupported_task',
      /POST \/v1\/embeddings/,
    );
  });

  test('name the text that is empty or too long', async () => {
    await fails(() => embed({ input: '' }), 400, 'invalid_value', /input/);
    await fails(() => embed({ input: ['a', ''] }), 400, 'invalid_value', /input/);
    await fails(() => embed({ input: [] }), 400, 'invalid_value', /input/);
    await fails(
      () => embed({ input: ['a', 'b'.repeat(300)] }),
      400,
      'context_length_exceeded',
      /input\[1\] has (at least )?300 tokens; this model reads at most 256/,
    );
    await fails(
      () => embed({ input: 'b'.repeat(900_000) }),
      400,
      'context_length_exceeded',
      /the input has at least \d+ tokens; this model reads at most 256/,
    );
  });

  test('belong to the team, and to keys that may use the model', async () => {
    await fails(() => embed({}, stranger), 404, 'model_not_found', /does not exist/);
    const limited = clientOf(await keyOf(team, { models: [models.classes] }));
    await fails(() => embed({}, limited), 403, 'model_not_allowed', /limited to/);
    const own = await limited.classifications.create({ model: models.classes, input: 'a' });
    assert.equal(own.data.length, 1);
  });

  test('are metered and priced, also when they are refused, and stop at the budget', async () => {
    await setPrice(services, { kind: 'input_tokens', price: 1_000_000 }, null);
    const counted = async () => {
      const [{ quantity }] = await services.db.$queryRaw<[{ quantity: string }]>`
        SELECT coalesce(sum(quantity), 0)::text AS quantity FROM usage_ledger
        WHERE team_id = ${team} AND kind = 'input_tokens' AND model = ${models.vectors}`;
      return Number(quantity);
    };
    const before = await counted();
    await embed({ input: ['12345', '678'] });
    assert.equal(await counted(), before + 8);
    await assert.rejects(embed({ input: ['12345', 'b'.repeat(300)] }));
    assert.equal(await counted(), before + 8 + 305);
    await setBudget(services, team, { monthly: 0.001, warnAt: 0.8, stops: true }, null);
    // The API keeps what it has read of a budget for two seconds.
    await sleep(2_500);
    try {
      await fails(() => embed({ input: 'a' }), 429, 'budget_exceeded', /budget/);
      await fails(
        () => client.classifications.create({ model: models.classes, input: 'a' }),
        429,
        'budget_exceeded',
        /budget/,
      );
    } finally {
      await removeBudget(services, team, null);
      await sleep(2_500);
    }
  });
});

describe('classes', () => {
  const classify = (more: object = {}, by = client) =>
    by.classifications.create({ model: models.classes, input: texts, ...more });

  test('of texts have the probabilities of their logits', async () => {
    const [wanted, { data, classes, usage }] = [await localScores('classes', texts), await classify()];
    assert.deepEqual(classes, colours);
    assert.equal(usage.total_tokens, texts.join('').length);
    for (const [i, { probs, label, num_classes }] of data.entries()) {
      const powers = wanted[i]!.logits.map(Math.exp);
      const sum = powers.reduce((a, b) => a + b);
      assert.ok(
        furthest(
          probs!,
          powers.map((x) => x / sum),
        ) < 1e-5,
        `text ${i}`,
      );
      assert.deepEqual([label, num_classes], [classes[probs!.indexOf(Math.max(...probs!))], 3]);
    }
  });

  test('of texts that may have several are probabilities each', async () => {
    const [wanted, { data, classes }] = [
      await localScores('sets', texts),
      await classify({ model: models.sets }),
    ];
    assert.deepEqual([...classes].sort(), ['long', 'odd']);
    for (const [i, { probs, labels }] of data.entries()) {
      assert.ok(
        furthest(
          probs!,
          wanted[i]!.logits.map((x) => 1 / (1 + Math.exp(-x))),
        ) < 1e-5,
      );
      assert.deepEqual(
        labels,
        classes.filter((_, j) => probs![j]! >= 0.5),
      );
    }
  });

  test('of words have offsets, and join to entities', async () => {
    const { data, classes } = await classify({ model: models.words, input: 'Ada 😀 lives, Ada' });
    assert.deepEqual([...classes].sort(), ['B-NUM', 'B-PER', 'O']);
    const [{ words, entities }] = data as [(typeof data)[number]];
    assert.deepEqual(
      words!.map(({ word, start, end }) => [word, start, end]),
      [
        ['Ada', 0, 3],
        ['😀', 4, 5],
        ['lives', 6, 11],
        [',', 11, 12],
        ['Ada', 13, 16],
      ],
    );
    for (const { label, text, first_word, last_word } of entities!) {
      assert.ok(['PER', 'NUM'].includes(label));
      assert.equal(
        text,
        words!
          .slice(first_word, last_word + 1)
          .map(({ word }) => word)
          .join(' '),
      );
    }
    const listed = await classify({ model: models.words, input: [['Ada', '😀', 'lives', ',', 'Ada']] });
    assert.deepEqual(
      listed.data[0]!.words!.map(({ label, prob }) => [label, prob]),
      words!.map(({ label, prob }) => [label, prob]),
    );
    await fails(() => classify({ input: [['Ada']] }), 400, 'unsupported_input', /only classifiers of words/);
  });

  test('come from classifiers only, of the own team', async () => {
    await fails(() => classify({ model: models.vectors }), 400, 'unsupported_task', /POST \/v1\/embeddings/);
    await fails(() => classify({ model: 'encoder' }), 400, 'unsupported_task', /is no classifier/);
    await fails(() => classify({}, stranger), 404, 'model_not_found', /does not exist/);
    await fails(
      () => classify({ model: models.words, input: ['a', 'b '.repeat(200)] }),
      400,
      'context_length_exceeded',
      /input\[1\] has (at least )?\d+ tokens/,
    );
  });
});

test('teams, adapters and kinds at once have the results that each has alone', async () => {
  const alone = await client.embeddings.create({ model: models.vectors, input: texts });
  const messages = [{ role: 'user' as const, content: 'Hi' }];
  const chat = () => client.chat.completions.create({ model: models.chat, messages, max_tokens: 3 });
  const [vectors, base, classes, words, said] = await Promise.all([
    client.embeddings.create({ model: models.vectors, input: texts }),
    stranger.embeddings.create({ model: 'encoder', input: texts }),
    client.classifications.create({ model: models.classes, input: texts }),
    client.classifications.create({ model: models.words, input: texts }),
    chat(),
  ]);
  assert.deepEqual(vectors.data, alone.data);
  assert.ok(furthest(base.data[0]!.embedding, vectors.data[0]!.embedding) > 1e-3);
  assert.equal(classes.data.length, texts.length);
  assert.equal(words.data.length, texts.length);
  assert.ok(said.choices.length > 0);
});

test('the command line embeds and classifies', async () => {
  const env = { GRAFT_BASE_URL: `${origin}/v1`, GRAFT_API_KEY: key };
  const run = async (...args: string[]) => {
    const ran = await runGraft(args, { cwd: folder, env });
    assert.equal(ran.code, 0, ran.stderr);
    return ran.stdout;
  };
  assert.match(await run('embed', '--model', models.vectors, 'Ada', 'Ada'), /Ada +1\.000 +1\.000/);
  assert.match(await run('classify', '--model', models.classes, 'amber'), /amber +\w+ +\d+\.\d %/);
  await writeFile(join(folder, 'lines.jsonl'), '{"tokens": ["Ada", "lives"]}\n{"text": "Ada lives"}\n');
  await run('classify', '--model', models.words, '--input', 'lines.jsonl', '--output', 'classes.jsonl');
  const lines = (await readFile(join(folder, 'classes.jsonl'), 'utf8')).trimEnd().split('\n');
  assert.equal(JSON.parse(lines[0]!).words.length, 2);
});

test('an agent gets the same by its tools, within its rights', async () => {
  const agent = await connectAgent(origin, key);
  const of = { model: models.vectors, input: texts.slice(0, 3) };
  const vectors = await callTool(agent, 'create_embeddings', of);
  for (const [i, { embedding }] of (await client.embeddings.create(of)).data.entries())
    assert.ok(furthest(vectors.json.data[i].embedding, embedding) < 1e-5, vectors.text);
  const classes = await callTool(agent, 'classify', { ...of, model: models.classes });
  assert.equal(classes.json.data.length, 3, classes.text);
  await agent.close();
  const limited = await connectAgent(origin, await keyOf(team, { models: [models.classes] }));
  const refused = await callTool(limited, 'create_embeddings', of);
  assert.deepEqual([refused.isError, refused.json.error.code], [true, 'model_not_allowed']);
  await limited.close();
});
