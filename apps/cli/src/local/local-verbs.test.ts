import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { writeTinyModel } from '@graft/peft-core/testing';
import { type Ran, runGraft, temporaryFolder } from '../testing/run-graft.ts';

let folder = '';
const graft = (...args: string[]): Promise<Ran> => runGraft(args, { cwd: folder });
const lines = (text: string) =>
  text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

before(async (t) => {
  folder = temporaryFolder(t as never);
  await writeTinyModel(join(folder, 'model'));
  const example = (i: number) => JSON.stringify({ prompt: `${i % 4}+1=`, completion: `${(i % 4) + 1}` });
  await writeFile(join(folder, 'train.jsonl'), Array.from({ length: 32 }, (_, i) => example(i)).join('\n'));
  await writeFile(join(folder, 'texts.jsonl'), '{"text":"2+1=3"}\n\n{"input_ids":[50,43,49]}\n');
});

test('train, score, generate and merge, on a folder, without any service', async () => {
  const train = [
    'train',
    '--model',
    'model',
    '--data',
    'train.jsonl',
    '--output',
    'adapter',
    '--epochs',
    '2',
  ];
  const options = [
    '--learning-rate',
    '0.01',
    '--curve',
    'loss.svg',
    '--training',
    '{"validation_split":0.25}',
  ];
  const trained = await graft(...train, ...options);
  assert.equal(trained.code, 0, trained.stderr);
  assert.match(
    trained.stderr,
    /^[\d,]+ of [\d,]+ parameters are trainable \(.* %\), in (fp32|bf16); 16 examples/m,
  );
  assert.match(trained.stderr, /^Chosen: batch_size 8: for 8 examples a step$/m);
  assert.doesNotMatch(trained.stderr, /^Chosen: learning_rate/m);
  assert.match(trained.stderr, /^Chosen: max_seq_length 8: the longest example/m);
  assert.match(trained.stderr, /^What the examples of a batch begin with in common /m);
  assert.match(
    trained.stderr,
    /^step 4\/4 {2}loss \d+\.\d{4} {2}(validation .* )?[\d,]+ tokens\/s {2}[\d,]+ tokens$/m,
  );
  assert.match(
    trained.stdout,
    /^adapter +adapter \(adapter_config\.json, adapter_model\.safetensors, README\.md\)$/m,
  );
  assert.match(trained.stdout, /graft generate --model model --adapter adapter -m/);
  assert.match(await readFile(join(folder, 'loss.svg'), 'utf8'), />validation \d\.\d{3}<\/text>/);
  assert.equal(existsSync(join(folder, 'adapter.checkpoints')), false);
  const config = JSON.parse(await readFile(join(folder, 'adapter/adapter_config.json'), 'utf8'));
  assert.equal(config.r, 16);
  assert.equal(config.base_model_name_or_path, 'model');

  const again = await graft(...train);
  assert.equal(again.code, 2);
  assert.match(again.stderr, /^graft: adapter is not empty: choose another --output, or add --overwrite\./);

  const score = (...more: string[]) => graft('score', '--input', 'texts.jsonl', '--output', '-', ...more);
  const [base, adapted] = [
    await score('--model', 'model'),
    await score('--model', 'model', '--adapter', 'adapter'),
  ];
  assert.equal(base.code, 0, base.stderr);
  const scores = lines(base.stdout);
  assert.deepEqual(scores[0].input_ids, [50, 43, 49, 61, 51]);
  assert.equal(scores[0].logprobs.length, 4);
  assert.deepEqual(scores[1].input_ids, [50, 43, 49]);
  // The same tokens in the same positions, whether given as text or as ids.
  assert.deepEqual(scores[1].logprobs, scores[0].logprobs.slice(0, 2));
  assert.ok(scores[0].logprobs.every((each: number) => each < 0));
  assert.notDeepEqual(lines(adapted.stdout)[0].logprobs, scores[0].logprobs);

  const inspected = await graft('inspect', 'adapter', '--model', 'model');
  assert.equal(inspected.code, 0, inspected.stderr);
  assert.match(inspected.stdout, /^ {2}method +LoRA \(LORA\), CAUSAL_LM$/m);
  assert.match(inspected.stdout, /^ {2}on model +fits$/m);
  assert.match(inspected.stdout, /^ {2}lora_A\.weight +14 ×/m);
  const report = JSON.parse((await graft('inspect', 'adapter', '--json')).stdout);
  assert.equal(report.fits, null);
  assert.ok(report.runtimes.includes('HF PEFT'));

  const merged = await graft(
    'merge',
    '--model',
    'model',
    '--adapter',
    'adapter',
    '--output',
    'merged',
    '--json',
  );
  assert.equal(merged.code, 0, merged.stderr);
  assert.equal(JSON.parse(merged.stdout).output, 'merged');
  const scored = await graft(
    'score',
    '--input',
    'texts.jsonl',
    '--output',
    'scores.jsonl',
    '--model',
    'merged',
  );
  assert.match(scored.stdout, /^Scored 2 texts, 8 tokens, in .*: scores\.jsonl$/m);
  const mergedScores = lines(await readFile(join(folder, 'scores.jsonl'), 'utf8'));
  for (const [i, value] of lines(adapted.stdout)[0].logprobs.entries()) {
    assert.ok(Math.abs(value - mergedScores[0].logprobs[i]) < 1e-4);
  }

  const generate = [
    'generate',
    '--model',
    'model',
    '--adapter',
    'adapter',
    '--prompt',
    '2+1=',
    '--max-tokens',
    '3',
  ];
  const text = await graft(...generate);
  const json = await graft(...generate, '--json');
  const sampled = ['--temperature', '1', '--top-k', '1', '--min-p', '0.1', '--model-defaults'];
  assert.equal((await graft(...generate, ...sampled)).stdout, text.stdout, 'of one token there is no choice');
  assert.equal((await graft(...generate, '--template-kwargs', '{"messages":1}')).code, 2);
  assert.equal(text.code, 0, text.stderr);
  const answer = JSON.parse(json.stdout);
  assert.equal(`${answer.text}\n`, text.stdout);
  assert.equal(answer.usage.prompt_tokens, 4);
  assert.ok(answer.usage.completion_tokens <= 3);
});

test('a classifier: trained, scored by its classes, and no writer of text', async () => {
  const labelled = (i: number) => JSON.stringify({ text: 'ab'[i % 2]!.repeat(3), label: i % 2 ? 'b' : 'a' });
  await writeFile(
    join(folder, 'labelled.jsonl'),
    Array.from({ length: 16 }, (_, i) => labelled(i)).join('\n'),
  );
  const train = ['train', '--model', 'model', '--data', 'labelled.jsonl', '--output', 'classifier', '--peft'];
  const unfit = await graft(...train, '{"task_type":"CAUSAL_LM"}');
  assert.notEqual(unfit.code, 0);
  assert.match(unfit.stderr, /task_type CAUSAL_LM learns from .*, but the file has {"text", "label"}/);
  const trained = await graft(
    ...train,
    '{"peft_type":"LORA","task_type":"SEQ_CLS"}',
    '--training',
    '{"validation_split":0.25}',
  );
  assert.equal(trained.code, 0, trained.stderr);
  assert.match(trained.stdout, /^accuracy +\d\.\d{3}\nmacro f1 +\d\.\d{3}$/m);
  assert.match(trained.stdout, /labels\.json\)$/m);
  const adapted = ['--model', 'model', '--adapter', 'classifier'];
  assert.ok(trained.stdout.includes(`graft score ${adapted.join(' ')} --input`));
  const scored = await graft('score', '--input', 'texts.jsonl', '--output', '-', ...adapted);
  assert.deepEqual(
    lines(scored.stdout).map(({ logits }) => logits.length),
    [2, 2],
  );
  const written = await graft('generate', ...adapted, '--prompt', 'a');
  assert.notEqual(written.code, 0);
  assert.match(written.stderr, /the adapter is for SEQ_CLS/);
});

test('Ctrl-C stops with a checkpoint, and --resume continues from there to the same adapter', async () => {
  const train = (output: string, ...more: string[]) => [
    'train',
    '--model',
    'model',
    '--data',
    'train.jsonl',
    '--output',
    output,
    '--epochs',
    '50',
    '--json',
    '--seed',
    '7',
    '--training',
    '{"precision":"fp32","checkpoint_steps":1000}',
    ...more,
  ];
  let interrupted = false;
  const stopped = await runGraft(train('half'), {
    cwd: folder,
    onStdout: (text, child) => {
      if (interrupted || !text.includes('"type":"step"')) return;
      interrupted = true;
      child.kill('SIGINT');
    },
  });
  assert.equal(stopped.code, 130, stopped.stderr);
  const { step } = lines(stopped.stdout).at(-1);
  assert.ok(step >= 1 && step < 200);
  assert.match(
    stopped.stderr,
    new RegExp(`Stopped at step ${step}\\. Continue with the same command and --resume\\.`),
  );

  const forgetful = await graft(...train('half'));
  assert.equal(forgetful.code, 2);
  assert.match(forgetful.stderr, /resume it with --resume, or delete that folder/);
  const [resumed, whole] = [await graft(...train('half', '--resume')), await graft(...train('whole'))];
  assert.equal(resumed.code, 0, resumed.stderr);
  assert.equal(lines(resumed.stdout)[0].resumedFrom, step);
  const weights = (output: string) => readFile(join(folder, output, 'adapter_model.safetensors'));
  assert.ok((await weights('half')).equals(await weights('whole')));
  assert.equal(whole.stdout.split('"type":"step"').length - 1, 200);
});

test('what is wrong with data or options is said before anything is loaded, and leaves nothing', async () => {
  await writeFile(join(folder, 'bad.jsonl'), '{"text":"a"}\nnot json\n{"text":1}\n');
  const train = ['train', '--model', 'model', '--output', 'never'];
  const wrong: [string[], RegExp][] = [
    [[...train, '--data', 'bad.jsonl'], /^graft: 2 faults \(invalid_jsonl\):\n {2}line 2 .*\n {2}line 3 /m],
    [
      [...train, '--data', 'train.jsonl', '--peft', '{"peft_type":"LORA","rank":4}'],
      /peft\.rank: is not an option of LORA/,
    ],
    [
      [...train, '--data', 'train.jsonl', '--peft', '{"peft_type":"RANDLORA"}'],
      /RANDLORA is not implemented/,
    ],
    [[...train, '--data', 'train.jsonl', '--training', '{"epochs":4}'], /training\.epochs/],
    [
      ['score', '--model', 'model', '--input', 'bad.jsonl', '--output', 'o.jsonl'],
      /bad\.jsonl: line 2 is not valid JSON/,
    ],
  ];
  const runs = await Promise.all(wrong.map(([args]) => graft(...args)));
  for (const [i, [args, message]] of wrong.entries()) {
    assert.equal(runs[i]?.code, 1, `${args.join(' ')}: ${runs[i]?.stderr}`);
    assert.match(runs[i]?.stderr ?? '', message);
  }
  const missing = await graft(...train, '--data', 'missing.jsonl');
  assert.deepEqual([missing.code, missing.stderr], [2, 'graft: --data: there is no file missing.jsonl.\n']);
  const target = ['--data', 'train.jsonl', '--peft', '{"peft_type":"LORA","target_modules":["q_prog"]}'];
  const nowhere = await graft(...train, ...target);
  assert.equal(nowhere.code, 1);
  assert.match(nowhere.stderr, /q_prog[\s\S]*q_proj/);
  const names = await readdir(folder);
  assert.deepEqual(
    names.filter((name) => /never|o\.jsonl|partial/.test(name)),
    [],
  );
});
