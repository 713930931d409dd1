import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codeFor } from './runtime-code.ts';

const version = {
  ...{ model: "ft:tiny:o'neill:poet:abcd1234", adapter_name: 'poet', base_model: 'tiny' },
  download_path: '/v1/adapters/adpt-1/versions/3/download',
  peft: { peft_type: 'X', task_type: 'CAUSAL_LM', r: 24 } as never,
};
const origin = 'https://graft.example';

test('code names what it needs of the version', () => {
  assert.match(codeFor('vLLM', version, origin), /--max-lora-rank 32 \\\n {2}--lora-modules poet=/);
  assert.match(codeFor('HF PEFT', version, origin), /AutoModelForCausalLM[\s\S]*generate/);
  const classifier = { ...version, peft: { peft_type: 'X', task_type: 'SEQ_CLS' } as never };
  const code = codeFor('HF PEFT', classifier, origin);
  assert.match(code, /AutoModelForSequenceClassification.from_pretrained\(base, num_labels=N\)/);
  assert.doesNotMatch(code, /generate/);
  assert.match(codeFor('Graft', classifier, origin), /graft score/);
});
