/** Invalid configs, and options that no adapter has or that this adapter does not have. */
import { type AdapterParts, filesOf } from './adapter-parts.ts';
import { bytesOf, type HostileAdapter, withConfig } from './hostile-parts.ts';

export function brokenConfigs(sound: AdapterParts): HostileAdapter[] {
  const good = JSON.stringify(sound.config);
  const texts: (string | Uint8Array<ArrayBuffer>)[] = [
    '',
    '{',
    '[]',
    'null',
    '1',
    '"x"',
    '{}',
    'NaN',
    good.slice(0, -1),
    `${good}x`,
    good.replace('"r":2', '"r":NaN'),
    good.replace('"r":2', '"r":Infinity'),
    good.replace('"r":2', '"r":1e400'),
    '['.repeat(100_000),
    `{"a":${'['.repeat(100_000)}`,
    bytesOf(good, [0]),
    bytesOf([0xff, 0xfe], good),
    bytesOf('{"', [0xc3, 0x28], '":1}'),
    `\ufeff${good}x`,
    `{${Array.from({ length: 300 }, (_, i) => `"k${i}":null`).join()},${good.slice(1)}`,
    JSON.stringify({ ...sound.config, pad: 'x'.repeat(300_000) }),
    good.replace('{', '{"__proto__":{"x":1},'),
    good.replace('{', `{"${'k'.repeat(5000)}":1,`),
  ];
  return texts.map((text, i) => withConfig(`config ${i}`, sound, text));
}

export function wrongOptions(sound: AdapterParts): HostileAdapter[] {
  const options: Record<string, unknown[]> = {
    peft_type: [
      null,
      7,
      '',
      'lora',
      'ADALORA',
      'BOTTLENECK',
      '__proto__',
      'constructor',
      ['LORA'],
      'x'.repeat(10_000),
    ],
    task_type: ['QUESTION_ANS', 'SEQ_CLS', 'TOKEN_CLS', 'x', 7, {}],
    r: [0, -1, 1.5, '8', 1e9, null, [], 3, 4096],
    lora_alpha: [0, -1, 'x', 1e7, 1e308, null],
    lora_dropout: [1, -0.1, 'x', 2],
    target_modules: [
      [],
      ['nothing'],
      '(',
      '(a+)+$',
      '.*(?<!x)y',
      7,
      {},
      [7],
      ['q_proj', 'k_proj'],
      'x'.repeat(100_000),
      Array(5000).fill('q_proj'),
      '../../etc/passwd',
      ['model.layers.99.self_attn.q_proj'],
      `(${'a|'.repeat(2000)}b)*`,
      '(.*){1000}{1000}',
    ],
    exclude_modules: [7, '(', ['q_proj', 'v_proj']],
    modules_to_save: ['x', ['nothing'], ['lm_head'], [7], ['..'], ['layers']],
    layers_to_transform: [[99], [-1], 'x', [1.5], [0]],
    layers_pattern: ['(', 7, 'layers'],
    rank_pattern: [
      { q_proj: 3 },
      { '(': 2 },
      { q_proj: 0 },
      [],
      'x',
      Object.fromEntries(Array.from({ length: 1100 }, (_, i) => [`p${i}`, 1])),
    ],
    alpha_pattern: [{ q_proj: -1 }, { q_proj: 1e9 }, 'x'],
    bias: ['some', 7],
    use_dora: [true, 'yes'],
    use_rslora: ['yes', 1],
    lora_bias: [true],
    init_lora_weights: ['pissa', 'corda', 'loftq', 7],
    trainable_token_indices: [[5000], [-1], ['x'], { nothing: [1] }, { embed_tokens: [1] }],
    fan_in_fan_out: ['x', 7],
    loftq_config: [{ loftq_bits: 4 }],
    eva_config: [{ rho: 2 }, { rho: 'x' }, { evil: 1 }, [], 7],
    layer_replication: [
      [
        [0, 4],
        [2, 5],
      ],
    ],
    megatron_config: [{ a: 1 }],
    evil: [1, 'x', true, [1], { a: 1 }],
    base_model_name_or_path: [7, 'a\u0000b', '\u001b[2J', 'x'.repeat(513), ['x']],
    revision: [7, 'x'.repeat(201), '\n'],
    peft_version: [7, 'x'.repeat(65)],
    inference_mode: ['x', 1],
    auto_mapping: [
      { base_model_class: 'x', parent_library: 'os' },
      { parent_library: 'transformers' },
      { base_model_class: 'A', parent_library: 'transformers', more: 1 },
      'os',
      7,
      [],
      { base_model_class: '__import__("os")', parent_library: 'transformers.models' },
      { base_model_class: 'A', parent_library: '../transformers' },
    ],
  };
  return Object.entries(options).flatMap(([option, values]) =>
    values.map((value) => {
      const changed = { ...sound.config, [option]: value };
      const files = filesOf({ ...sound, config: changed });
      // A valid change requires other tensors than those sent.
      return {
        what: `${option} ${JSON.stringify(value).slice(0, 60)}`,
        files,
        names: /adapter_config\.json|peft|adapter_model\.safetensors/,
      };
    }),
  );
}
