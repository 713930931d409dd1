import type { ModelOutline } from '../../outlines/outline.ts';
import { copiedEmbeddings, type FileTensor, rowsShape, savedTensors, underModel } from '../file-tensors.ts';
import { copiedBiases, type NamedShape, trainedBiases } from '../matrices/biases.ts';
import { isWithin } from '../target-modules.ts';
import type { LoraConfig } from './config.ts';
import { expertNames, loraNames, loraTargets, loraTokenTargets, wrappedModules } from './targets.ts';

/** The tensors that HF PEFT writes for this config: A and B of every adapted module, and the other trained parameters. */
export function loraFileTensors(config: LoraConfig, model: ModelOutline): FileTensor[] {
  const saved = savedTensors(config, model);
  const adapted = loraTargets(config, model);
  const targets = adapted.targets.filter(
    ({ name }) => !saved.modules.some((module) => isWithin(name, module)),
  );
  const names = targets.map(({ name }) => name);
  const tensors: NamedShape[] = [...saved.tensors];
  for (const target of loraTokenTargets(config, model))
    tensors.push({
      name: `${target.module}.token_adapter.trainable_tokens_delta`,
      shape: rowsShape(target, model),
    });
  tensors.push(
    ...trainedBiases(saved.modules, config.bias, model, wrappedModules(names, adapted.experts)).map(
      ({ key, shape }) => ({ name: key, shape }),
    ),
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
    ...copiedBiases(saved.modules, config.bias, model).flatMap(({ copy, original }) => [copy, original]),
  ]);
}
