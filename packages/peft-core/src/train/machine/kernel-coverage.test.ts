/** Lists the stock operations that remain in a training step with kernels, for each model family and each method on it. */
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { useKernels } from '@graft/tf-graph';
import { tracedOperations } from '@graft/tf-graph/testing';
import { parsePeftConfig, resolveTraining, type TrainingOptions } from '../../config/index.ts';
import { architectureFor } from '../../models/registry.ts';
import type { TaskType } from '../../outlines/index.ts';
import { tinyFamilies } from '../../testing/tiny-families.ts';
import { tinyConfig } from '../../testing/tiny-model.ts';
import { buildTrainProgram } from '../train-program.ts';

before(() => useKernels('auto'));

/** Operations that kernels replace wherever they apply to every position. */
const replaced = [
  ...['Softmax', 'SparseSoftmaxCrossEntropyWithLogits', 'Erf', 'Tanh', 'Sigmoid', 'Relu', 'Exp', 'Rsqrt'],
  ...['StatelessRandomUniform', 'Transpose', 'ScatterNd'],
];

/** With the default dropout of each family. */
const families: Record<string, { config: Record<string, unknown>; task: TaskType }> = {
  llama: { config: { attention_dropout: 0.1 }, task: 'CAUSAL_LM' },
  gpt2: { config: { model_type: 'gpt2', n_embd: 32, n_layer: 2, n_head: 4 }, task: 'CAUSAL_LM' },
  bert: { config: { model_type: 'bert', num_labels: 3 }, task: 'SEQ_CLS' },
  roberta: { config: { model_type: 'roberta', num_labels: 3, pad_token_id: 1 }, task: 'SEQ_CLS' },
  t5: { config: { ...tinyFamilies.t5, dropout_rate: 0.1 }, task: 'SEQ_2_SEQ_LM' },
};

const everywhere = { peft_type: 'LORA', r: 2, target_modules: 'all-linear' };
const prompt = { num_virtual_tokens: 3 };
const methods: Record<string, Record<string, unknown>> = {
  LoRA: everywhere,
  'LoRA that an invocation activates': { ...everywhere, alora_invocation_tokens: [7, 8] },
  'LoRA with dropout': { ...everywhere, lora_dropout: 0.1 },
  DoRA: { ...everywhere, use_dora: true },
  'DoRA with dropout': { ...everywhere, use_dora: true, lora_dropout: 0.1 },
  IA3: { peft_type: 'IA3' },
  'LN tuning': { peft_type: 'LN_TUNING', target_modules: '.*(norm|Norm|ln_.)' },
  Selective: { peft_type: 'SELECTIVE', kinds: ['norm'] },
  Bottleneck: { peft_type: 'BOTTLENECK', preset: 'double_seq_bn', non_linearity: 'gelu' },
  'Trained tokens': { peft_type: 'TRAINABLE_TOKENS', token_indices: [51, 58] },
  'Prompt tuning': { ...prompt, peft_type: 'PROMPT_TUNING' },
  'Prefix tuning': { ...prompt, peft_type: 'PREFIX_TUNING' },
  MiSS: { peft_type: 'MISS', r: 4, target_modules: 'all-linear' },
  OFT: { peft_type: 'OFT', oft_block_size: 8, target_modules: 'all-linear' },
  HiRA: { peft_type: 'HIRA', r: 2, target_modules: 'all-linear' },
  LoKr: { peft_type: 'LOKR', r: 2, target_modules: 'all-linear' },
  LoHa: { peft_type: 'LOHA', r: 2, target_modules: 'all-linear' },
  VeRA: { peft_type: 'VERA', r: 16, target_modules: 'all-linear' },
};

/** Methods without layers that store their weight as (in, out). */
const untransposed = ['MiSS', 'OFT', 'LoKr', 'LoHa'];

/** Methods that no classifier supports. */
const languageOnly = ['Trained tokens', 'Prefix tuning'];

/** Methods of decoders that write text. */
const decodersOnly = ['LoRA that an invocation activates'];

/** The operations that are not replaced. */
function expected(method: string, task: TaskType): string[] {
  // Parts of the inputs of a layer are multiplied separately.
  if (method === 'OFT' || method === 'LoKr')
    return [...(task === 'SEQ_CLS' ? ['SparseSoftmaxCrossEntropyWithLogits'] : []), 'Transpose'];
  // Few rows with few classes need no kernel.
  if (task === 'SEQ_CLS') return ['SparseSoftmaxCrossEntropyWithLogits'];
  // The prefix's keys and values are not positions of the list.
  return method === 'Prefix tuning' ? ['Softmax', 'StatelessRandomUniform', 'Transpose'] : [];
}

const grid = { rows: 1, tokens: 32, labels: 16, sequences: 1, spans: 4 };

/** Operations of a training step with kernels. */
async function operationsOf(
  { config, task }: (typeof families)[string],
  options: Record<string, unknown>,
  asked: TrainingOptions = {},
): Promise<Map<string, number> & { varies: boolean }> {
  const fields = { ...tinyConfig, ...config };
  const peft = parsePeftConfig({ ...options, task_type: task });
  const architecture = architectureFor(fields.model_type, fields, task);
  let isAsLongAsNeeded = false;
  const operations = await tracedOperations(() => {
    const { program, varies } = buildTrainProgram({
      architecture,
      peft,
      objective: 'next_token',
      form: 'trained',
      storage: 'float32',
      precision: 'fp32',
      implementation: 'kernels',
      evaluationGrid: null,
      grid: { ...grid, inputTokens: architecture.encoder ? 32 : 0 },
      training: resolveTraining({ peft, training: asked, exampleCount: 8, hasValidationFile: false }),
    });
    isAsLongAsNeeded = varies;
    program.close();
  });
  return Object.assign(operations, { varies: isAsLongAsNeeded });
}

for (const [family, { config, task }] of Object.entries(families))
  for (const [method, options] of Object.entries(methods)) {
    if (task === 'SEQ_CLS' && languageOnly.includes(method)) continue;
    if (task !== 'CAUSAL_LM' && decodersOnly.includes(method)) continue;
    if (family === 'gpt2' && untransposed.includes(method)) continue;
    test(`${family}, ${method}: kernels compute what they can`, async () => {
      const operations = await operationsOf({ config, task }, options);
      assert.deepEqual(
        replaced.filter((op) => operations.has(op)),
        expected(method, task),
      );
    });
  }

test('layers with gated delta rules: the gates of each head are stock operations, and lists are as long as each batch needs', async () => {
  const config = tinyFamilies.qwen3_5_text;
  const operations = await operationsOf({ config, task: 'CAUSAL_LM' }, everywhere);
  assert.deepEqual(
    replaced.filter((op) => operations.has(op)),
    ['Sigmoid', 'Exp'],
  );
  for (const kernel of [
    'GraftDeltaRule',
    'GraftDeltaRuleGradient',
    'GraftCausalConvolution',
    'GraftAttention',
  ])
    assert.ok(operations.has(kernel), kernel);
  assert.ok(operations.varies);
});

test('state spaces and convolutions with a bias are stock operations, on lists of a fixed length; the other layers keep their kernels', async () => {
  const config = { ...tinyFamilies.granitemoehybrid, num_local_experts: 0 };
  const operations = await operationsOf({ config, task: 'CAUSAL_LM' }, everywhere);
  assert.deepEqual(
    replaced.filter((op) => operations.has(op)),
    ['Sigmoid', 'Exp', 'Transpose'],
  );
  for (const kernel of ['GraftAttention', 'GraftRmsNorm', 'GraftGatedProduct', 'GraftCrossEntropy'])
    assert.ok(operations.has(kernel), kernel);
  assert.equal(operations.varies, false);
});

test('labels are smoothed without another operation over the vocabulary: the kernel of the head stays in use', async () => {
  const asked = { label_smoothing_factor: 0.1 };
  for (const family of ['llama', 't5']) {
    const operations = await operationsOf(families[family]!, everywhere, asked);
    assert.deepEqual(
      replaced.filter((op) => operations.has(op)),
      [],
    );
    assert.ok(operations.has('GraftCrossEntropy'));
  }
});

test('noise on embeddings is one draw of stock operations, and lists are as long as each batch needs', async () => {
  const asked = { neftune_noise_alpha: 5 };
  const operations = await operationsOf(families.llama!, everywhere, asked);
  assert.deepEqual(
    replaced.filter((op) => operations.has(op)),
    ['StatelessRandomUniform'],
  );
  assert.ok(operations.varies);
});
