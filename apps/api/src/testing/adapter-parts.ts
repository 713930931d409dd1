import { fileTensorsFor } from '@graft/peft-core/check';
import { type PeftConfig, parsePeftConfig } from '@graft/peft-core/config';
import type { Answer, ApiBench, Caller } from './open-api-bench.ts';

/** A tensor of a safetensors file. */
export interface PartTensor {
  dtype: string;
  shape: number[];
  data: Uint8Array;
}

/** An adapter as saved by HF PEFT: its config, and its tensors by key. */
export interface AdapterParts {
  config: Record<string, unknown>;
  tensors: Map<string, PartTensor>;
}

/** A valid adapter for the base model `tiny`, with weights that depend on `seed`. */
export async function soundAdapter(
  bench: ApiBench,
  options: Record<string, unknown> = {},
  seed = 1,
): Promise<AdapterParts> {
  return adapterFor((await bench.services.baseModels.get('tiny'))!.config, options, seed);
}

/** A valid adapter for a base model with this config.json. */
export function adapterFor(
  modelConfig: Record<string, unknown>,
  options: Record<string, unknown> = {},
  seed = 1,
): AdapterParts {
  const peft = parsePeftConfig({ peft_type: 'LORA', r: 2, target_modules: ['q_proj', 'v_proj'], ...options });
  const tensors = new Map<string, PartTensor>();
  for (const { key, shape } of fileTensorsFor(peft, modelConfig).filter(({ needless }) => !needless)) {
    const values = Float32Array.from(
      { length: shape.reduce((a, b) => a * b, 1) },
      (_, i) => ((i * 7 + seed) % 13) / 100,
    );
    tensors.set(key, { dtype: 'F32', shape, data: new Uint8Array(values.buffer) });
  }
  return { config: { ...savedFields(peft) }, tensors };
}

function savedFields(peft: PeftConfig): Record<string, unknown> {
  return {
    ...peft,
    auto_mapping: null,
    base_model_name_or_path: 'somebody/tiny',
    inference_mode: true,
    peft_version: '0.21.2',
    revision: null,
  };
}

/** Builds a safetensors file. `header` replaces the header of the tensors. */
export function safetensorsOf(
  tensors: ReadonlyMap<string, PartTensor>,
  header?: string | Uint8Array,
): Uint8Array<ArrayBuffer> {
  let offset = 0;
  const entries = [...tensors].map(([key, { dtype, shape, data }]) => {
    const data_offsets = [offset, offset + data.length];
    offset += data.length;
    return [key, { dtype, shape, data_offsets }];
  });
  const text = Buffer.from(header ?? JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return new Uint8Array(Buffer.concat([length, text, ...[...tensors.values()].map(({ data }) => data)]));
}

export type UploadFile = [name: string, content: string | Uint8Array<ArrayBuffer>];

/** The two files of an adapter. */
export function filesOf({ config, tensors }: AdapterParts): UploadFile[] {
  return [
    ['adapter_config.json', JSON.stringify(config, null, 2)],
    ['adapter_model.safetensors', safetensorsOf(tensors)],
  ];
}

/** Uploads an adapter. Undefined fields are omitted. */
export async function sendAdapter(
  caller: Caller,
  files: UploadFile[],
  fields: Record<string, string | undefined> = {},
): Promise<Answer> {
  const form = new FormData();
  for (const [name, value] of Object.entries({ base_model: 'tiny', name: 'made-elsewhere', ...fields }))
    if (value !== undefined) form.append(name, value);
  for (const [name, content] of files) form.append('file', new Blob([content]), name);
  return await caller.send('POST', '/v1/adapters', form);
}
