import path from 'node:path';
import { packTensor } from '../../gguf/pack-tensor.ts';
import { type PackedTensor, writeGguf } from '../../gguf/write-gguf.ts';
import { invocationOf, methodOf } from '../../tuners/methods.ts';
import type { ExportWriter } from '../export-writer.ts';
import { checkRange } from '../gguf/check-range.ts';
import { fileTypes } from '../gguf/file-types.ts';
import { ggufModel } from '../gguf/gguf-model.ts';
import { type GgufAdapterOptions, ggufAdapterName } from './format.ts';
import { alphaOf, updateTensors } from './update-tensors.ts';

/** Writes an adapter as llama.cpp reads it. Source: llama.cpp, convert_lora_to_gguf.py and src/llama-adapter.cpp. */
export const writeGgufAdapter: ExportWriter<GgufAdapterOptions> = async ({
  base,
  outputDir,
  options,
  fitting,
  name,
  onBytes,
}) => {
  const { config, tensors } = fitting.adapter;
  const model = ggufModel(base.config)!;
  const form = methodOf(config).lowRank!(config, fitting.architecture);
  const factors = form.factors?.(tensors) ?? tensors;
  const alpha = alphaOf(form);
  const invocation = invocationOf(config);
  const { weights: type } = fileTypes[options.dtype];
  const file = await writeGguf(
    path.join(outputDir, ggufAdapterName),
    {
      'general.architecture': { type: 'string', value: model.family.architecture },
      'general.type': { type: 'string', value: 'adapter' },
      'general.name': { type: 'string', value: name },
      'general.file_type': { type: 'u32', value: fileTypes[options.dtype].id },
      'adapter.type': { type: 'string', value: 'lora' },
      'adapter.lora.alpha': { type: 'f32', value: alpha },
      ...(invocation && { 'adapter.alora.invocation_tokens': { type: 'u32s', value: [...invocation] } }),
    },
    updateTensors(model, form).map(
      ({ name, shape, layout, values }): PackedTensor => ({
        name,
        shape,
        type,
        data(append) {
          const own = values(factors, alpha);
          checkRange(name, own, type);
          return packTensor(own, shape, layout, type, append);
        },
      }),
    ),
    onBytes,
  );
  const others = form.updates.filter(({ scale, rank }) => scale * rank !== alpha).length;
  return {
    files: [{ ...file, path: ggufAdapterName }],
    notes: [
      invocation
        ? 'Load it with llama-server beside a GGUF file of the base model that it was trained on: llama-server -m base.gguf --lora adapter.gguf. Other programs of llama.cpp do not read its invocation tokens, and would apply it to the whole prompt.'
        : 'Load it beside a GGUF file of the base model that it was trained on: llama-cli -m base.gguf --lora adapter.gguf.',
      ...(others === 0
        ? []
        : [`${others} of ${form.updates.length} updates had another alpha, which is now in their B.`]),
    ],
  };
};
