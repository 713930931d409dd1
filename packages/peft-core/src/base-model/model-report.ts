import { GraftError } from '../errors.ts';
import { outlineOf, TASK_TYPES, type TaskType } from '../outlines/index.ts';
import { defaultTask } from '../outlines/model-class.ts';
import { elementCount } from '../tensors/tensor-source.ts';
import type { OpenedModel } from './base-model.ts';
import { checkModel } from './check-model.ts';
import { checkSmallFiles } from './check-small-files.ts';
import { type FamilyMatch, nearestFamily } from './nearest-family.ts';
import { openModelFiles, withStackedExperts, withUntiedWeights } from './open-base-model.ts';

/** Description of a base model, and the reason why Graft cannot train it, if any. */
export interface ModelReport {
  format: OpenedModel['format'];
  model_type: string | null;
  /** Why Graft cannot train it; null if it can. */
  fault: string | null;
  /** Closest family of an unknown `model_type`; null if it is known, or no family is near. */
  nearest: FamilyMatch | null;
  parameters: number;
  /** Number of values by stored type: those of safetensors and GGUF, and MXFP4. */
  stored: Record<string, number>;
  /** Null if config.json cannot be read as a supported model's. */
  sizes: {
    layers: number;
    hidden_size: number;
    heads: number;
    kv_heads: number;
    head_size: number;
    vocabulary_size: number;
    context_length: number;
    tied_head: boolean;
  } | null;
  tasks: TaskType[];
  /** By `peft_type`: the modules that a method changes where a config names none. */
  default_targets: Record<string, string[]>;
  config: Record<string, unknown>;
  /** Source of the chat template; null: none, or not read. */
  chat_template: string | null;
}

/** Opens the model's files, and reports what they are. Throws what reading them throws, and nothing for an unsupported model. */
export async function inspectModel(location: string): Promise<ModelReport> {
  const model = await openModelFiles(location);
  try {
    let { tensors } = model;
    const config = withUntiedWeights(model.config, tensors.names());
    const fault = faultOf(() => {
      // One tensor of MXFP4 in the place of two of bytes.
      tensors = withStackedExperts(model);
      checkModel({ ...model, config, tensors });
      checkSmallFiles(model, () => {});
    });
    const stored: Record<string, number> = {};
    for (const name of tensors.names()) {
      const { dtype, shape } = tensors.info(name);
      stored[dtype] = (stored[dtype] ?? 0) + elementCount(shape);
    }
    const outline = fault?.code === 'unsupported_model' ? null : outlineIn(config);
    return {
      format: model.format,
      model_type: typeof config.model_type === 'string' ? config.model_type : null,
      fault: fault?.message ?? null,
      nearest: fault?.code === 'unsupported_model' ? nearestFamily(config, tensors) : null,
      parameters: Object.values(stored).reduce((sum, count) => sum + count, 0),
      stored,
      sizes: outline && {
        layers: outline.layers,
        hidden_size: outline.hiddenSize,
        heads: outline.heads,
        kv_heads: outline.kvHeads,
        head_size: outline.headSize,
        vocabulary_size: outline.vocabularySize,
        context_length: outline.maxPositions,
        tied_head: Object.keys(outline.aliases).length > 0,
      },
      tasks: outline ? TASK_TYPES.filter((task) => outlineIn(config, task) !== null) : [],
      default_targets: Object.fromEntries(
        Object.entries(outline?.defaultTargets ?? {}).map(([type, { target_modules }]) => [
          type,
          target_modules,
        ]),
      ),
      config,
      chat_template: model.tokenizerFiles.chatTemplate,
    };
  } finally {
    await model.close();
  }
}

function outlineIn(config: Record<string, unknown>, task = defaultTask(config)) {
  try {
    return outlineOf(config, task);
  } catch (error) {
    if (error instanceof GraftError) return null;
    throw error;
  }
}

function faultOf(check: () => void): GraftError | null {
  try {
    check();
    return null;
  } catch (error) {
    if (error instanceof GraftError) return error;
    throw error;
  }
}
