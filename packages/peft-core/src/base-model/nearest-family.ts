import { GraftError } from '../errors.ts';
import { families, modelTypes } from '../outlines/families.ts';
import type { Family } from '../outlines/family.ts';
import { isClassifier, storedName } from '../outlines/outline.ts';
import { show } from '../schema/check-fields.ts';
import { nearest } from '../schema/nearest.ts';
import type { TensorSource } from '../tensors/tensor-source.ts';

export type CheckpointTensors = Pick<TensorSource, 'names' | 'has' | 'info'>;

/** How well the tensors of a checkpoint match a family whose sizes are in its config.json. Lists are in the family's or file's order. */
export interface FamilyMatch {
  modelType: string;
  /** Number of weights that the family has. */
  needed: number;
  missing: string[];
  otherShape: string[];
  unknown: string[];
}

/** Tensors that checkpoints store and no family reads: tables that are computed from config.json. */
const computed = /(rotary_emb\.inv_freq|\.attn\.(masked_)?bias|position_ids)$/;

/**
 * The family whose weights are most like those of a checkpoint with an unknown `model_type`; null if none has even half of its weights
 * in it. Equal matches are ordered by how alike the names of the types are.
 */
export function nearestFamily(
  config: Record<string, unknown>,
  tensors: CheckpointTensors,
): FamilyMatch | null {
  const matches = families.flatMap((family) => matchOf(family, config, tensors) ?? []);
  const byName = nearest(String(config.model_type), modelTypes, modelTypes.length);
  const distance = ({ missing, otherShape, unknown }: FamilyMatch) =>
    missing.length + otherShape.length + unknown.length;
  const rank = ({ modelType }: FamilyMatch) =>
    byName.includes(modelType) ? byName.indexOf(modelType) : byName.length;
  matches.sort((a, b) => distance(a) - distance(b) || rank(a) - rank(b));
  const [best] = matches;
  return best && best.missing.length + best.otherShape.length <= best.needed / 2 ? best : null;
}

/** Null where config.json lacks fields that the family needs. */
function matchOf(
  family: Family,
  config: Record<string, unknown>,
  tensors: CheckpointTensors,
): FamilyMatch | null {
  const outline = outlineIn(family, config);
  if (!outline) return null;
  const match: FamilyMatch = {
    modelType: family.modelType,
    needed: 0,
    missing: [],
    otherShape: [],
    unknown: [],
  };
  const used = new Set<string>();
  for (const { name, shape, fresh } of outline.parameters) {
    const stored = storedName(outline, name, tensors);
    if (stored !== undefined) used.add(stored);
    // A checkpoint may lack a task's head, or have one for other classes.
    if (fresh !== undefined) continue;
    match.needed++;
    if (stored === undefined) match.missing.push(name);
    else if (tensors.info(stored).shape.join() !== shape.join()) match.otherShape.push(stored);
  }
  for (const alias of Object.keys(outline.aliases)) used.add(alias);
  match.unknown = tensors.names().filter((name) => !used.has(name) && !computed.test(name));
  return match;
}

function outlineIn(family: Family, config: Record<string, unknown>) {
  const { modelType, defaultTask } = family;
  try {
    const own = { ...config, model_type: modelType };
    return family.outline(own, isClassifier(defaultTask) ? 'FEATURE_EXTRACTION' : defaultTask);
  } catch (error) {
    if (error instanceof GraftError) return null;
    throw error;
  }
}

/** The error for a checkpoint whose `model_type` is unknown: it names the nearest family, and whether its weights match. */
export function unsupportedModel(config: Record<string, unknown>, tensors: CheckpointTensors): GraftError {
  const match = nearestFamily(config, tensors);
  const message = `model_type ${show(config.model_type)} is not supported`;
  return new GraftError(
    'unsupported_model',
    match
      ? `${message}. ${describeMatch(match)}`
      : `${message}, and no family has such weights; supported: ${modelTypes.join(', ')}`,
    { param: 'model' },
  );
}

/** A sentence on the family, and on how the weights of the checkpoint differ from its own. */
export function describeMatch({ modelType, needed, missing, otherShape, unknown }: FamilyMatch): string {
  const faults = Object.entries({
    missing,
    'with other shapes': otherShape,
    [`in the checkpoint, and not of ${modelType}`]: unknown,
  }).flatMap(([what, names]) => (names.length > 0 ? `${what}: ${names.length} (${example(names)})` : []));
  const found =
    faults.length > 0
      ? faults.join('; ')
      : `the checkpoint has all of them with these shapes, and no others. If its layers also compute the same, set model_type to "${modelType}" in a copy of its config.json`;
  return `The nearest supported family is ${modelType}, with ${needed} weights; ${found}`;
}

const example = ([first, ...rest]: string[]) => (rest.length > 0 ? `${first}, …` : first);
