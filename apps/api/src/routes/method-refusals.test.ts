import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import { assertError } from '../testing/assert-error.ts';
import { type ApiBench, chatLine, openApiBench } from '../testing/open-api-bench.ts';

const encoder = { model_type: 'bert', max_position_embeddings: 64, pad_token_id: 258 };
const models: Record<string, Record<string, unknown>> = {
  llama: { max_position_embeddings: 64 },
  bert: encoder,
  // Saved without a pooler, which this class of transformers does not have.
  tagger: { ...encoder, architectures: ['BertForTokenClassification'] },
  // Its tokenizer has <pad> and <unk>, 258 and 259, for which the embedding has no rows.
  short: { max_position_embeddings: 64, vocab_size: 258 },
};

let folder: string;
let bench: ApiBench;
/** By task: a training file for that task. */
let files: Record<string, string>;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'graft-refusals-'));
  for (const [name, config] of Object.entries(models)) await writeTinyModel(join(folder, name), config);
  const list = join(folder, 'base-models.json');
  await writeFile(
    list,
    JSON.stringify(Object.fromEntries(Object.keys(models).map((name) => [name, { folder: name }]))),
  );
  bench = await openApiBench({}, { GRAFT_BASE_MODELS: list });
  const labelled = ['x', 'y'].map((label) => JSON.stringify({ text: 'a', label })).join('\n');
  files = {
    CAUSAL_LM: await bench.acme.upload(chatLine),
    SEQ_CLS: await bench.acme.upload(labelled),
    TOKEN_CLS: await bench.acme.upload(JSON.stringify({ tokens: ['a', 'b'], labels: [0, 1] })),
  };
});
after(async () => {
  await bench?.close();
  await rm(folder, { recursive: true });
});

interface Request {
  model?: string;
  peft: Record<string, unknown>;
  training?: Record<string, unknown>;
}

async function create({ model = 'llama', peft, training }: Request) {
  const training_file = files[(peft.task_type as string | undefined) ?? 'CAUSAL_LM'];
  const body = { model, training_file, peft, ...(training ? { training } : {}) };
  return await bench.acme.send('POST', '/v1/fine_tuning/jobs', body);
}

async function jobCount(): Promise<number> {
  const { rows } = await bench.services.sql.query<{ n: number }>('SELECT count(*)::int AS n FROM jobs');
  return rows[0]!.n;
}

/** Checks for a 400 that names the field, and that no job is created. */
function refuses(what: string, request: Request, [code, param, message]: [string, string, RegExp]): void {
  test(what, async () => {
    const before = await jobCount();
    const text = assertError(await create(request), 400, code, param);
    assert.match(text, message);
    assert.equal(await jobCount(), before);
  });
}

describe('methods and models that do not go together', () => {
  for (const model of ['llama', 'bert'])
    refuses(
      `a prefix before a classifier: ${model}`,
      { model, peft: { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 4, task_type: 'SEQ_CLS' } },
      ['unsupported_task', 'peft.task_type', /PREFIX_TUNING does not go with SEQ_CLS/],
    );
  refuses(
    'tokens of a classifier, whose head would stay random',
    { peft: { peft_type: 'TRAINABLE_TOKENS', token_indices: [1], task_type: 'SEQ_CLS' } },
    ['unsupported_task', 'peft.task_type', /trains no classifier head/],
  );
  refuses('a text by an encoder', { model: 'bert', peft: { peft_type: 'LORA' } }, [
    'unsupported_task',
    'peft.task_type',
    /bert models do SEQ_CLS.*not CAUSAL_LM/,
  ]);
  for (const [task_type, message] of [
    ['SEQ_CLS', /"dpo" trains with task_type CAUSAL_LM, and peft\.task_type is SEQ_CLS/],
    ['CAUSAL_LM', /bert models do SEQ_CLS.*not CAUSAL_LM/],
  ] as const)
    test(`preferences on an encoder, with task_type ${task_type}`, async () => {
      const peft = { peft_type: 'LORA', task_type };
      const pair = JSON.stringify({ prompt: 'a', chosen: 'b', rejected: 'c' });
      const training_file = task_type === 'SEQ_CLS' ? files.SEQ_CLS! : await bench.acme.upload(pair);
      const body = { model: 'bert', training_file, peft, method: { type: 'dpo' } };
      const answer = await bench.acme.send('POST', '/v1/fine_tuning/jobs', body);
      const [code, param] =
        task_type === 'SEQ_CLS'
          ? ['unsupported_method', 'method.type']
          : ['unsupported_task', 'peft.task_type'];
      assert.match(assertError(answer, 400, code, param), message);
    });
  refuses(
    'a classifier of an encoder that was saved without its pooler',
    { model: 'tagger', peft: { peft_type: 'LORA', task_type: 'SEQ_CLS' } },
    ['unsupported_task', 'peft.task_type', /saved without bert\.pooler\.dense\.weight.*which SEQ_CLS reads/],
  );
  test('the same encoder learns what needs none', async () => {
    const answer = await create({ model: 'tagger', peft: { peft_type: 'LORA', task_type: 'TOKEN_CLS' } });
    assert.equal(answer.status, 200, answer.text);
  });
});

describe('options that do not fit the model', () => {
  refuses('a token that is not there', { peft: { peft_type: 'TRAINABLE_TOKENS', token_indices: [260] } }, [
    'invalid_peft_config',
    'peft.token_indices',
    /no token 260.*ids 0 to 259/,
  ]);
  refuses('such a token beside LoRA', { peft: { peft_type: 'LORA', trainable_token_indices: [300] } }, [
    'invalid_peft_config',
    'peft.trainable_token_indices',
    /no token 300/,
  ]);
  refuses('a rank above what a matrix has', { peft: { peft_type: 'LORA', r: 17 } }, [
    'rank_too_large',
    'peft.r',
    /v_proj.*16 × 32/,
  ]);
  refuses('one name of several', { peft: { peft_type: 'LORA', target_modules: ['q_proj', 'v_porj'] } }, [
    'target_modules_not_found',
    'peft.target_modules',
    /"v_porj".*nearest: v_proj/,
  ]);
  refuses(
    'a prompt that fills the context',
    { peft: { peft_type: 'PROMPT_TUNING', num_virtual_tokens: 64 } },
    ['invalid_peft_config', 'peft.num_virtual_tokens', /context is 64/],
  );
  refuses(
    'a prompt that fills max_seq_length',
    { peft: { peft_type: 'PREFIX_TUNING', num_virtual_tokens: 16 }, training: { max_seq_length: 16 } },
    ['invalid_training_option', 'training.max_seq_length', /peft\.num_virtual_tokens takes 16/],
  );
  refuses(
    'a text that nothing begins with',
    { peft: { peft_type: 'PROMPT_TUNING', prompt_tuning_init_text: 'Answer:' } },
    ['invalid_peft_config', 'peft.prompt_tuning_init_text', /prompt_tuning_init TEXT, which is RANDOM/],
  );
});

describe('what HF PEFT has and Graft has not', () => {
  const lacking: [peft_type: string, option: string, value: unknown][] = [
    ['LORA', 'use_qalora', true],
    ['PROMPT_TUNING', 'tokenizer_kwargs', { trust_remote_code: true }],
    ['BOTTLENECK', 'phm_layer', true],
  ];
  for (const [peft_type, option, value] of lacking)
    refuses(`${option} of ${peft_type}`, { peft: { peft_type, [option]: value } }, [
      'unimplemented_peft_option',
      `peft.${option}`,
      /not implemented/,
    ]);
  // Graft supports every option of the other methods, and rejects options of a different method.
  for (const peft of [
    { peft_type: 'IA3' },
    { peft_type: 'LN_TUNING' },
    { peft_type: 'P_TUNING' },
    { peft_type: 'PREFIX_TUNING' },
    { peft_type: 'TRAINABLE_TOKENS', token_indices: [1] },
    { peft_type: 'SELECTIVE', kinds: ['norm'] },
  ])
    refuses(`lora_alpha for ${peft.peft_type}`, { peft: { ...peft, lora_alpha: 8 } }, [
      'unknown_peft_option',
      'peft.lora_alpha',
      new RegExp(`is not an option of ${peft.peft_type}`),
    ]);
  for (const peft_type of ['ADALORA', 'PVERA', 'BOFT', 'RANDLORA', 'XLORA'])
    refuses(peft_type, { peft: { peft_type } }, [
      'unimplemented_peft_type',
      'peft.peft_type',
      new RegExp(`${peft_type} is not implemented; Graft implements LORA`),
    ]);
});

describe('tokens that the model does not know', () => {
  const failed = async (request: object): Promise<{ code: string; param: string; message: string }> => {
    const { json } = await bench.acme.send('POST', '/v1/fine_tuning/jobs', { model: 'short', ...request });
    await bench.untilState(json.id, 'failed');
    return (await bench.acme.send('GET', `/v1/fine_tuning/jobs/${json.id}`)).json.error;
  };

  test('fail the job with their lines before a worker takes it', async () => {
    const training_file = await bench.acme.upload('{"text":"fine"}\n{"text":"not <pad> fine"}');
    const error = await failed({ training_file });
    assert.deepEqual([error.code, error.param], ['invalid_training_file', 'training_file']);
    assert.match(
      error.message,
      /^line 2 has the token "<pad>" with id 258, which the base model does not know/,
    );
  });

  test('cannot be what a soft prompt begins as', async () => {
    const peft = { peft_type: 'PROMPT_TUNING', prompt_tuning_init: 'TEXT', prompt_tuning_init_text: '<unk>' };
    const error = await failed({ training_file: files.CAUSAL_LM, peft });
    assert.deepEqual([error.code, error.param], ['invalid_peft_config', 'peft.prompt_tuning_init_text']);
    assert.match(error.message, /id 259/);
  });
});

test('"learning_rate": "auto" is the method\'s', async () => {
  const answer = await create({ peft: { peft_type: 'IA3' }, training: { learning_rate: 'auto' } });
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.json.training.learning_rate, 'auto');
  await bench.untilState(answer.json.id, 'queued');
  const job = await bench.acme.send('GET', `/v1/fine_tuning/jobs/${answer.json.id}`);
  // Four times the default for a long run, since this run has few steps.
  assert.equal(job.json.training.learning_rate, 0.1);
  const message = assertError(
    await create({ peft: { peft_type: 'IA3' }, training: { learning_rate: 'fast' } }),
    400,
    'invalid_training_option',
    'training.learning_rate',
  );
  assert.match(message, /must be "auto" or a number/);
});
