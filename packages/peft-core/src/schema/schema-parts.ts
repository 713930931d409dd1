import { Type } from 'typebox';
import { TASK_TYPES } from '../outlines/outline.ts';
import { MAX_PATTERN_LENGTH } from './module-pattern.ts';

/** Parts that the config schemas of several methods share; names and defaults are HF PEFT's. */
export const ModuleName = Type.String({ minLength: 1, maxLength: 256 });
export const ModuleNames = Type.Array(ModuleName, { maxItems: 1024 });
export const TargetNames = Type.Array(ModuleName, { minItems: 1, maxItems: 1024 });
export const Pattern = Type.String({ minLength: 1, maxLength: MAX_PATTERN_LENGTH });
export const LayerIndex = Type.Integer({ minimum: 0, maximum: 10_000 });

export const taskType = Type.Enum([...TASK_TYPES], {
  type: 'string',
  default: 'CAUSAL_LM',
  description: 'What the model is trained to do.',
});

export const targetModules = Type.Union([TargetNames, Pattern, Type.Null()], {
  default: null,
  description:
    'Modules to adapt: names matched as suffixes, a regular expression matched against the whole path, or "all-linear" (every linear layer but the output layer). Null takes the default for the architecture.',
});

export const excludeModules = Type.Union([ModuleNames, Pattern, Type.Null()], {
  default: null,
  description: 'Modules left out even if target_modules matches them: names or a regular expression.',
});

export const modulesToSave = Type.Union([ModuleNames, Type.Null()], {
  default: null,
  description: 'Modules trained in full and saved with the adapter, by the end of their name.',
});

export const updateRank = (usual: number) =>
  Type.Integer({ minimum: 1, maximum: 4096, default: usual, description: 'Rank of the update matrices.' });

/** A probability of dropout that is 0 by default. */
export const dropoutProbability = (
  description = 'Probability that an input of the update is dropped during training.',
) => Type.Number({ minimum: 0, exclusiveMaximum: 1, default: 0, description });

export const fanInFanOut = Type.Boolean({
  default: false,
  description:
    "The target stores its weight as (in, out), as transformers' Conv1D does; Graft sets it itself.",
});

export const tokenIndices = Type.Array(Type.Integer({ minimum: 0, maximum: 2 ** 31 - 1 }), {
  minItems: 1,
  maxItems: 100_000,
  uniqueItems: true,
});

export const layersToTransform = Type.Union(
  [Type.Array(LayerIndex, { maxItems: 1024 }), LayerIndex, Type.Null()],
  { default: null, description: 'Adapt only these layers (0-based). Only with a list of target_modules.' },
);

export const layersPattern = Type.Union([Type.Array(Pattern, { maxItems: 32 }), Pattern, Type.Null()], {
  default: null,
  description: 'Name of the list of layers that layers_to_transform counts, if not the usual one.',
});

export const rankPattern = Type.Record(Type.String(), Type.Integer({ minimum: 1, maximum: 4096 }), {
  default: {},
  maxProperties: 1024,
  description: 'Ranks that differ from r, by module name or regular expression.',
});

export const alphaPattern = Type.Record(Type.String(), Type.Number({ exclusiveMinimum: 0 }), {
  default: {},
  maxProperties: 1024,
  description: 'Alphas that differ from the usual one, by module name or regular expression.',
});

/** Which biases of the base model are trained; `own` is the library's word for those of adapted modules. */
export const trainedBiases = <Own extends string>(own: Own) =>
  Type.Enum(['none', 'all', own], {
    type: 'string',
    default: 'none',
    description: 'Which existing bias vectors are trained too.',
  });
