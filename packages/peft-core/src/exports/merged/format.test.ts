import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parsePeftConfig } from '../../config/index.ts';
import { tinyConfig } from '../../testing/tiny-model.ts';
import type { ExportedAdapter } from '../export-format.ts';
import { exportFormat, parseExportOptions } from '../formats.ts';

test('parts that would be too many are refused with a size that works', () => {
  const names = Array.from({ length: 2000 }, (_, i) => `weights.${i}`);
  const adapter: ExportedAdapter = {
    config: parsePeftConfig({ peft_type: 'LORA', task_type: 'CAUSAL_LM', target_modules: ['q_proj'] }),
    modelConfig: tinyConfig,
    tensors: { names: () => names, has: () => true, info: () => ({ dtype: 'F32', shape: [1000, 1000] }) },
    chatTemplate: null,
    adapterBytes: 0,
    smallFileBytes: 0,
  };
  const format = exportFormat('merged');
  const refusalFor = (options?: object) =>
    format.refusal(adapter, parseExportOptions(format, options as Record<string, unknown>));
  const refusal = refusalFor({ max_shard_bytes: 1_000_000 });
  assert.equal(refusal?.param, 'options.max_shard_bytes');
  const [, least] = /use at least (\d+)/.exec(refusal!.message)!;
  assert.equal(refusalFor({ max_shard_bytes: Number(least) }), null);
  assert.ok(refusalFor({ max_shard_bytes: Number(least) - 1 }));
  assert.equal(refusalFor(), null);
  names.length = 800;
  assert.equal(refusalFor({ max_shard_bytes: 1_000_000 }), null, 'every tensor may have its own file');
});
