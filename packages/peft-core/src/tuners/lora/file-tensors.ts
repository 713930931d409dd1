import type { ModelOutline } from '../../outlines/outline.ts';
import { copiedEmbeddings, type FileTensor, rowsShape, savedTensors, underModel } from '../file-tensors.ts';
import { isWithin } from '../target-modules.ts';
import type { LoraConfig } from './config.ts';
import { expertNames, loraNames, loraTargets, loraTokenTargets } from './targets.ts';

/** A tensor with its name in the files, without the common prefix. */
interface Tensor {
  name: string;
  shape: number[];
}

/** The tensors that HF PEFT writes for this config: A and B of every adapted module, and the other trained parameters. */
export function loraFileTensors(config: LoraConfig, model: ModelOutline): FileTensor[] {
  const saved = savedTensors(config, model);
  const adapted = loraTargets(config, model);
  const targets = adapted.targets.filter(
    ({ name }) => !saved.modules.some((module) => isWithin(name, module)),
  );
  const names = targets.map(({ name }) => name);
  const tensors: Tensor[] = [...saved.tensors];
  for (const target of loraTokenTargets(config, model))
    tensors.push({
      name: `${target.module}.token_adapter.trainable_tokens_delta`,
      shape: rowsShape(target, model),
    });
  tensors.push(
    ...trainedBiases(saved.modules, config, model, new Set(names)).map(({ key, shape }) => ({
      name: key,
      shape,
    })),
  );
  for (const target of targets) {
    const own = loraNames(target, config);
    const { rank, width, out } = target;
    tensors.push({ name: own.a, shape: [rank, width] }, { name: own.b, shape: [out, rank] });
    if (own.magnitude) tensors.push({ name: own.magnitude, shape: [out] });
    if (own.bias) tensors.push({ name: own.bias, shape: [out] });
  }
  for (const target of adapted.experts) {
    const { experts, rank, width, out } = target;
    const { a, b } = expertNames(target);
    tensors.push({ name: a, shape: [experts * rank, width] }, { name: b, shape: [out, rank * experts] });
  }
  return underModel(tensors, [
    ...(config.trainable_token_indices === null ? copiedEmbeddings(config.target_modules, names, model) : []),
    ...copiedBiases(saved.modules, config, model).flatMap(({ copy, original }) => [copy, original]),
  ]);
}

/** The biases that `bias` selects for training, with their keys; `linears` are the wrapped modules. */
export function trainedBiases(
  savedModules: readonly string[],
  { bias }: LoraConfig,
  model: ModelOutline,
  linears: ReadonlySet<string>,
): { name: string; key: string; shape: number[] }[] {
  if (bias === 'none') return [];
  return model.parameters.flatMap(({ name, shape }) => {
    if (!name.endsWith('.bias')) return [];
    const module = name.slice(0, -'.bias'.length);
    if (bias === 'lora_only' && !linears.has(module)) return [];
    if (savedModules.some((each) => isWithin(module, each))) return [];
    // peft stores a wrapped module's own parameters under `base_layer`.
    return [{ name, key: linears.has(module) ? `${module}.base_layer.bias` : name, shape }];
  });
}

/**
 * With bias "all", PEFT writes the biases of a module of modules_to_save three times: under the module's name, and under the names
 * of its trained copy and of the original (peft, tuners_utils.py, _get_learnable_bias_state_dict).
 */
export function copiedBiases(
  savedModules: readonly string[],
  { bias }: LoraConfig,
  model: ModelOutline,
): { name: string; copy: Tensor; original: Tensor }[] {
  if (bias !== 'all') return [];
  return savedModules.flatMap((module) =>
    model.parameters
      .filter(({ name }) => name.startsWith(`${module}.`) && name.endsWith('.bias'))
      .map(({ name, shape }) => {
        const rest = name.slice(module.length + 1);
        // PEFT removes the adapter's name, "default", from a key only if it is the last part but one.
        const copy = rest === 'bias' ? rest : `default.${rest}`;
        return {
          name,
          copy: { name: `${module}.modules_to_save.${copy}`, shape },
          original: { name: `${module}.original_module.${rest}`, shape },
        };
      }),
  );
}
