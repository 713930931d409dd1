import { tf } from '@graft/tf-graph';
import type { Weight } from '../../nn/weight.ts';
import { type ModelOutline, type ParameterSpec, shapeInFiles } from '../../outlines/outline.ts';
import { turnedBack } from '../../tensors/turned-experts.ts';
import { savedTensors } from '../file-tensors.ts';
import type { AdapterParameter, LayerContext, Merge } from '../tuner.ts';

/** Modules trained in full, in addition to a method's own parameters. */
export interface SavedModules {
  /** Their paths. */
  modules: string[];
  parameters: AdapterParameter[];
  replacements: Map<string, (context: LayerContext) => Weight>;
  merges: Map<string, Merge>;
}

/**
 * The modules of `modules_to_save` and of the task's head, like PEFT's ModulesToSaveWrapper. A module that contains others
 * is trained with all of them. `keyPrefix` is put before the names in files.
 */
export function savedModules(
  config: { modules_to_save?: string[] | null },
  model: ModelOutline,
  keyPrefix = '',
): SavedModules {
  const { modules, tensors } = savedTensors(config, model);
  const saved: SavedModules = { modules, parameters: [], replacements: new Map(), merges: new Map() };
  const specs = new Map(model.parameters.map((each) => [each.name, each]));
  for (const { name, shape, source } of tensors) {
    addReplacement(
      saved,
      name,
      { name: keyPrefix + name, shape, init: { kind: 'base', parameters: [source] } },
      specs.get(source),
    );
  }
  return saved;
}

/**
 * Trains `parameter` in place of the base parameter `name`. With `spec`, that of the base parameter, a `turned` one is trained in the shape
 * that files have.
 */
export function addReplacement(
  to: Pick<SavedModules, 'parameters' | 'replacements' | 'merges'>,
  name: string,
  parameter: AdapterParameter,
  spec?: ParameterSpec,
): void {
  if (spec?.turned) {
    const stored = shapeInFiles(spec);
    const make = ([weight]: Float32Array[]) => turnedBack(weight!, spec.shape);
    to.parameters.push({
      name: parameter.name,
      shape: stored,
      init: { kind: 'base', parameters: [spec.name], make },
    });
    to.replacements.set(name, (context) => ({
      kind: 'trained',
      tensor: tf.transpose(context.parameter(parameter.name), [0, 2, 1]),
    }));
    to.merges.set(name, (_weight, adapter) => turnedBack(adapter(parameter.name), stored));
    return;
  }
  to.parameters.push(parameter);
  to.replacements.set(name, (context) => ({ kind: 'trained', tensor: context.parameter(parameter.name) }));
  to.merges.set(name, (_weight, adapter) => adapter(parameter.name));
}

/** Merges base parameter `name` by `merge`, after any merge already registered for it. */
export function addMerge(merges: Map<string, Merge>, name: string, merge: Merge): void {
  const before = merges.get(name);
  merges.set(name, before ? (weight, adapter) => merge(before(weight, adapter), adapter) : merge);
}
