import { decoders } from '../outlines/decoders.ts';
import { type ModelType, requireModelType } from '../outlines/families.ts';
import { defaultTask, type TaskType } from '../outlines/index.ts';
import type { Architecture, MakeArchitecture } from './architecture.ts';
import { bert } from './bert.ts';
import { decoder } from './decoder.ts';
import { gpt2 } from './gpt2.ts';
import { roberta } from './roberta.ts';
import { t5 } from './t5.ts';

/** The forward pass of every family in `outlines/families.ts`. */
const rows: Record<ModelType, MakeArchitecture> = { ...decoderRows(), gpt2, bert, roberta, t5 };

/** All families of `outlines/decoders.ts` share one forward pass. */
function decoderRows(): Record<keyof typeof decoders, MakeArchitecture> {
  const entries = Object.entries(decoders).map(([modelType, family]): [string, MakeArchitecture] => [
    modelType,
    (config, task) => decoder(family.outline(config, task)),
  ]);
  return Object.fromEntries(entries) as Record<keyof typeof decoders, MakeArchitecture>;
}

/** The architecture of a base model for a task. Throws `unsupported_model`, which names the supported ones, or `unsupported_task`. */
export function architectureFor(
  modelType: string,
  config: Record<string, unknown>,
  task: TaskType = defaultTask(config),
): Architecture {
  return rows[requireModelType(modelType)](config, task);
}
