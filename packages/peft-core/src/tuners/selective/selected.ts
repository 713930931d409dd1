import { GraftError } from '../../errors.ts';
import type { ModelOutline } from '../../outlines/outline.ts';
import { fullMatch } from '../../schema/module-pattern.ts';
import { nearest } from '../../schema/nearest.ts';
import type { SelectiveConfig } from './method.ts';
import { isOfKind, KINDS, type Kind, layerOf } from './kinds.ts';

/**
 * Names of the parameters that `config` trains, in the model's order. A tied weight is trained under its own name, apart
 * from what it is tied to, when it is chosen itself: as head, or by a pattern.
 * Throws `invalid_peft_config` for a name, a kind or layers that choose nothing.
 */
export function selectedParameters(config: SelectiveConfig, model: ModelOutline): string[] {
  const { trainable, kinds } = config;
  const layers = config.layers === null ? null : [config.layers].flat();
  const candidates = candidatesOf(model).filter((name) => !layers || layers.includes(layerOf(name) ?? -1));
  for (const layer of layers ?? []) {
    if (candidates.some((name) => layerOf(name) === layer)) continue;
    throw invalid('layers', `there is no layer ${layer}; layers are 0 to ${model.layers - 1}`);
  }
  const within = layers ? ` in layers ${layers.join(', ')}` : '';
  const chosen = new Set<string>();
  if (trainable === null && kinds === null) for (const name of candidates) chosen.add(name);
  for (const pattern of trainable === null ? [] : [trainable].flat()) {
    const matches = typeof trainable === 'string' ? fullMatch : hasPath;
    const found = candidates.filter((name) => matches(pattern, name));
    if (found.length === 0) throw notFound(pattern, within, candidates);
    for (const name of found) chosen.add(name);
  }
  for (const kind of kinds ?? []) {
    const found = candidates.filter((name) => isOfKind(name, kind, model));
    if (found.length === 0) throw noneOfKind(kind, within, candidates, model);
    for (const name of found) chosen.add(name);
  }
  return candidates.filter((name) => chosen.has(name));
}

/** Every parameter that the model reads, and the second names of tied linear ones: a head's. */
function candidatesOf({ parameters, aliases, modules }: ModelOutline): string[] {
  const linear = new Set(modules.filter(({ kind }) => kind === 'linear').map(({ name }) => `${name}.weight`));
  return [
    ...parameters.filter(({ unread }) => !unread).map(({ name }) => name),
    ...Object.keys(aliases).filter((name) => linear.has(name)),
  ];
}

/** Whether the parts of `path` follow each other somewhere in `name`: "layers.3" is in "model.layers.3.mlp.up_proj.weight". */
function hasPath(path: string, name: string): boolean {
  return `.${name}.`.includes(`.${path}.`);
}

function notFound(pattern: string, within: string, candidates: string[]): GraftError {
  const parts = new Set(candidates.flatMap((name) => name.split('.').filter((part) => !/^\d+$/.test(part))));
  const near = nearest(pattern.slice(pattern.lastIndexOf('.') + 1), parts, 3);
  const hint =
    near.length > 0 ? `; nearest: ${near.join(', ')}` : `; there are ${[...parts].slice(0, 16).join(', ')}`;
  return invalid('trainable', `"${pattern}" matches no parameter of this model${within}${hint}`);
}

function noneOfKind(kind: Kind, within: string, candidates: string[], model: ModelOutline): GraftError {
  const there = KINDS.filter((each) => candidates.some((name) => isOfKind(name, each, model)));
  return invalid(
    'kinds',
    `this model has no parameter of kind "${kind}"${within}; it has ${there.join(', ')}`,
  );
}

function invalid(option: string, message: string): GraftError {
  return new GraftError('invalid_peft_config', `${option}: ${message}`, { param: `peft.${option}` });
}
