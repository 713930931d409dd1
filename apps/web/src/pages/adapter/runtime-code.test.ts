import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { codeFor, codeNames } from './runtime-code.ts';

const system = 'Sort it. It\'s "a" or\n"b": $HOME `date`';
const version = {
  model: "ft:tiny:o'neill:poet:abcd1234",
  adapter_name: 'poet',
  base_model: 'smollm2-135m-instruct',
  download_path: '/v1/adapters/adpt-1/versions/3/download',
  peft: { peft_type: 'X', task_type: 'CAUSAL_LM', r: 24 } as never,
  lineage: {},
  system_prompt: system,
  runtimes: ['Graft', 'HF PEFT', 'adapters', 'vLLM', 'SGLang', 'TGI', 'llama.cpp (converted)', 'a new one'],
};
const hub = { id: 'HuggingFaceTB/SmolLM2-135M-Instruct', quantization: 'Q4_1' };
const use = { version, hub, origin: 'https://graft.example' };

/** The last argument of each command in the code, as parsed by bash. The commands themselves are not run. */
function parsedArguments(code: string): string[] {
  const names = [
    'curl',
    'vllm',
    'python',
    'text-generation-launcher',
    'tar',
    'mkdir',
    'git',
    'pip',
    'hf',
    'llama-cli',
  ];
  const functions = names.map((name) => `${name}() { printf '%s\\0' "\${@: -1}"; }`).join('\n');
  const out = execFileSync('bash', ['-c', `${functions}\n${code.replaceAll(/ \| tar .*/g, '')}`], {
    encoding: 'utf8',
    env: { ...process.env, GRAFT_API_KEY: 'k', HOME: '/never' },
  });
  return out.split('\0').filter(Boolean);
}

test('requests to every server contain the system prompt, unchanged by the shell', () => {
  for (const name of ['Graft (curl)', 'vLLM', 'SGLang', 'TGI']) {
    const body = JSON.parse(parsedArguments(codeFor(name, use)).at(-1)!);
    assert.deepEqual(
      body.messages,
      [
        { role: 'system', content: system },
        { role: 'user', content: 'Hello!' },
      ],
      name,
    );
  }
  const models = ['Graft (curl)', 'vLLM', 'SGLang', 'TGI'].map(
    (name) => JSON.parse(parsedArguments(codeFor(name, use)).at(-1)!).model,
  );
  assert.deepEqual(models, [version.model, 'poet', `${hub.id}:poet`, 'poet']);
  assert.match(codeFor('llama.cpp (converted)', use), /llama-cli .* -sys 'Sort it/);
});

test('servers are complete: base model, adapter folder, port and a request to that port', () => {
  for (const name of ['vLLM', 'SGLang', 'TGI']) {
    const code = codeFor(name, use);
    for (const part of [
      hub.id,
      '--port 8001',
      'poet=',
      'my-adapter',
      'http://127.0.0.1:8001/v1/chat/completions',
    ])
      assert.ok(code.includes(part), `${name} lacks ${part}:\n${code}`);
    assert.match(code, /Q4_1 weights/);
    assert.doesNotMatch(code, /BASE|smollm2-135m-instruct/);
  }
  assert.match(codeFor('vLLM', use), /--max-lora-rank 32 /);
});

test('Python code parses, uses the Hub id, and applies the chat template', () => {
  const names = ['Graft (Python)', 'HF PEFT', 'adapters'];
  for (const name of names) {
    const code = codeFor(name, use);
    const parse = 'import ast, json, sys; t = ast.parse(sys.stdin.read())\n';
    const strings = `${parse}print(json.dumps([n.value for n in ast.walk(t) if isinstance(n, ast.Constant)]))`;
    const constants = JSON.parse(execFileSync('python3', ['-c', strings], { input: code, encoding: 'utf8' }));
    assert.ok(constants.includes(system), name);
    if (name === 'Graft (Python)') continue;
    assert.ok(constants.includes(hub.id), name);
    assert.match(code, /Q4_1 weights[\s\S]*apply_chat_template\(messages, add_generation_prompt=True/);
  }
});

test('the code depends on the task, the base model and missing information', () => {
  assert.deepEqual(codeNames(version).slice(0, 4), [
    'Graft (curl)',
    'Graft (Python)',
    'Graft (TypeScript)',
    'HF PEFT',
  ]);
  assert.match(
    codeFor('a new one', use),
    /^mkdir -p my-adapter\ncurl -f https:\/\/graft\.example\/v1\/adapters/,
  );
  const classifier = { ...version, peft: { peft_type: 'X', task_type: 'SEQ_CLS' } as never };
  assert.equal(codeNames(classifier)[0], 'Graft');
  const classifierCode = codeFor('HF PEFT', { ...use, version: classifier });
  assert.match(classifierCode, /AutoModelForSequenceClassification.from_pretrained\(base, num_labels=N\)/);
  assert.doesNotMatch(classifierCode, /generate/);
  assert.match(codeFor('Graft', { ...use, version: classifier }), /graft score/);
  const plain = { ...use, version: { ...version, system_prompt: null, base_model: 'org/own' }, hub: null };
  assert.doesNotMatch(codeFor('Graft (curl)', plain), /system/);
  assert.match(codeFor('HF PEFT', plain), /base = ".\/org-own" {2}# the folder of the base model/);
  assert.doesNotMatch(codeFor('vLLM', plain), /Q4_1/);
});

test('Python loads a model with the class that the lineage names, else with that of the task', () => {
  const lineage = { base_model: { transformers_class: 'AutoModelForImageTextToText' } };
  const named = codeFor('HF PEFT', { ...use, version: { ...version, lineage } });
  assert.match(
    named,
    /import AutoModelForImageTextToText, [\s\S]*AutoModelForImageTextToText\.from_pretrained\(/,
  );
  assert.match(codeFor('HF PEFT', use), /AutoModelForCausalLM\.from_pretrained\(/);
});
