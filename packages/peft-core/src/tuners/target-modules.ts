import { GraftError } from '../errors.ts';
import type { ModelOutline } from '../outlines/outline.ts';
import { optionError } from '../schema/check-fields.ts';
import { fullMatch, layerNumberPattern, matchesParts, matchStart } from '../schema/module-pattern.ts';
import { nearest } from '../schema/nearest.ts';

/** The properties of a module that matching needs; `name` is its Hugging Face path. */
export interface TargetableModule {
  name: string;
  kind: 'linear' | 'embedding' | 'norm' | 'convolution' | 'other';
}

/** Options of the methods that adapt selected modules; absent options have their default. */
export interface TargetOptions {
  target_modules: string[] | string | null;
  exclude_modules?: string[] | string | null;
  modules_to_save?: string[] | null;
  layers_to_transform?: number[] | number | null;
  layers_pattern?: string[] | string | null;
}

export type TargetableModel = Pick<ModelOutline, 'modelType' | 'defaultTargets' | 'textModule'> & {
  modules: TargetableModule[];
};

/** Layers that "all-linear" excludes: the output layer of a language model and a task's head. */
const OUTPUT_LAYERS = ['lm_head', 'score', 'classifier'];

/**
 * Names of the modules that `config` adapts, in the model's order, selected as in PEFT 0.21.2
 * (tuners_utils.py, check_target_module_exists). Throws `target_modules_not_found` if there are none, and
 * `target_modules_required` if the config names none and the model has no default for the method.
 */
export function resolveTargetModules(
  config: TargetOptions & { peft_type: string },
  model: TargetableModel,
): string[] {
  const { modules } = model;
  const targets = expandTargets(config, model);
  const matched = modules.filter(({ name }) => isTarget(config, targets, name)).map(({ name }) => name);
  if (matched.length > 0) return matched;
  throw new GraftError('target_modules_not_found', notFound(config, targets, modules), {
    param: 'peft.target_modules',
  });
}

/** PEFT's `fan_in_fan_out` after wrapping these modules in order: whether the last linear one stores its weight as `(in, out)`. */
export function transposedTargets(
  names: string[],
  { modules }: { modules: (TargetableModule & { transposed?: true })[] },
): boolean {
  const linear = modules.filter(({ name, kind }) => kind === 'linear' && names.includes(name));
  return linear.at(-1)?.transposed ?? false;
}

/** PEFT adds both names to modules_to_save of every classifier, whatever the name of its head (peft_model.py). */
export const CLASSIFIER_HEADS = ['classifier', 'score'];

/**
 * Paths of the modules that modules_to_save trains in full, including modules that contain others ("mlp"); without modules inside
 * another result. PEFT (other.py, _set_trainable) compares the ends of names as plain strings, so "head" also matches "lm_head".
 * Throws `target_modules_not_found` for an entry without a match, `invalid_peft_config` for a list of modules.
 */
export function resolveModulesToSave(
  config: Pick<TargetOptions, 'modules_to_save'>,
  modules: TargetableModule[],
): string[] {
  const wanted = config.modules_to_save ?? [];
  const paths = withContainers(modules);
  const found = (end: string) => paths.some((path) => path.endsWith(end));
  const classifies = CLASSIFIER_HEADS.some(found);
  for (const end of wanted) {
    if (found(end) || (classifies && CLASSIFIER_HEADS.includes(end))) continue;
    // Modules that contain others can be selected too.
    throw notFoundError(
      'modules_to_save',
      end,
      paths.map((name) => ({ name, kind: 'other' })),
    );
  }
  const matched = paths.filter((path) => wanted.some((end) => path.endsWith(end)));
  const list = matched.find((path) => modules.some(({ name }) => /^\.\d+\./.test(afterPath(name, path))));
  if (list)
    throw optionError(
      'modules_to_save',
      `"${list}" is a list of modules; name some of them, or what they hold`,
    );
  return matched.filter((path) => !matched.some((other) => other !== path && isWithin(path, other)));
}

/** The error for an entry of an option that matches no module; its message names the nearest modules. */
export function notFoundError(option: string, entry: string, modules: TargetableModule[]): GraftError {
  const message = `${option}: "${entry}" matches no module of this model${suggestions([entry], modules)}`;
  return new GraftError('target_modules_not_found', message, { param: `peft.${option}` });
}

/** Checks whether `path` is `module` or inside it. */
export function isWithin(path: string, module: string): boolean {
  return path === module || path.startsWith(`${module}.`);
}

/** The rest of `name` after `path`; empty if `name` does not start with it. */
function afterPath(name: string, path: string): string {
  return name.startsWith(path) ? name.slice(path.length) : '';
}

/** The paths of modules and of the modules that contain them, in order, containers first. */
function withContainers(modules: TargetableModule[]): string[] {
  const paths = new Set<string>();
  for (const { name } of modules) {
    for (let dot = name.indexOf('.'); dot !== -1; dot = name.indexOf('.', dot + 1))
      paths.add(name.slice(0, dot));
    paths.add(name);
  }
  return [...paths];
}

export const targetsAllLinear = ({ target_modules: targets }: { target_modules: unknown }): boolean =>
  typeof targets === 'string' && targets.toLowerCase() === 'all-linear';

/**
 * Checks whether a weight is so narrow, as those of gates and rates are, that "all-linear" may give it a rank above its own: nobody requested
 * that one. Pass the weight's sizes.
 */
export const isNarrow = (
  { width, out }: { width: number; out: number },
  { hiddenSize }: { hiddenSize: number },
): boolean => 8 * Math.min(width, out) < hiddenSize;

export const isAllLinear = ({ kind, name }: TargetableModule): boolean =>
  kind === 'linear' && !OUTPUT_LAYERS.includes(name);

function expandTargets(
  { peft_type, target_modules: targets }: TargetOptions & { peft_type: string },
  { modelType, modules, defaultTargets }: TargetableModel,
): string[] | string {
  if (targets === null) {
    const fallback = defaultTargets[peft_type]?.target_modules;
    if (fallback) return fallback;
    throw new GraftError(
      'target_modules_required',
      `there is no default for "${modelType}" models; name some`,
      { param: 'peft.target_modules' },
    );
  }
  if (typeof targets === 'string' && targets.toLowerCase() === 'all-linear') {
    return modules.filter(isAllLinear).map(({ name }) => name);
  }
  return targets;
}

/** From this number of names on PEFT shortens the list (utils/constants.py, MIN_TARGET_MODULES_FOR_OPTIMIZATION). */
const MANY_TARGETS = 20;

/**
 * target_modules as PEFT 0.21.2 writes it: the architecture's default for null, full names for "all-linear", and instead of
 * a long list the shortest ends of names that match the same modules, unless `whole`. For a part of a larger model, a list of ends
 * becomes a regular expression for that part, and an expression that does not name the part becomes full names, because PEFT would also
 * adapt modules of the same names outside of it.
 */
export function writtenTargets(
  config: TargetOptions & { peft_type: string },
  model: TargetableModel,
  whole = false,
): string[] | string {
  const targets = shortenedTargets(config, model, whole);
  const { textModule, modules } = model;
  const names = new Set(modules.map(({ name }) => name));
  if (!textModule) return targets;
  if (typeof targets === 'string')
    return targets.includes(textModule) ? targets : resolveTargetModules(config, model);
  // PEFT refuses layers_to_transform beside a regular expression, and matches its numbers with layers of all parts.
  if (config.layers_to_transform != null) return resolveTargetModules(config, model);
  if (targets.every((target) => names.has(target))) return targets;
  const escaped = (target: string) => target.replaceAll('.', '\\.');
  const inside = targets.filter((target) => !names.has(target)).map(escaped);
  const paths = targets.filter((target) => names.has(target)).map(escaped);
  return [`.*\\b${textModule}\\.(?:.*\\.)?(?:${inside.join('|')})`, ...paths].join('|');
}

function shortenedTargets(
  config: TargetOptions & { peft_type: string },
  model: TargetableModel,
  whole: boolean,
): string[] | string {
  const targets = expandTargets(config, model);
  if (typeof targets === 'string' || targets.length < MANY_TARGETS || whole) return targets;
  const named = (path: string) => targets.some((target) => path === target || path.endsWith(`.${target}`));
  const ends = distinguishingEnds(
    targets,
    withContainers(model.modules).filter((path) => !named(path)),
  );
  return ends.length > 0 && ends.length < targets.length ? ends : targets;
}

/** The shortest ends of `names`, in whole parts, that match none of `others`. Source: tuners_utils.py, _find_minimal_target_modules. */
function distinguishingEnds(names: string[], others: string[]): string[] {
  const endsOf = (name: string) => {
    const parts = name.split('.');
    return parts.map((_, i) => parts.slice(parts.length - 1 - i).join('.'));
  };
  const taken = new Set(others.flatMap(endsOf));
  const found = new Set<string>();
  for (const name of names) {
    if ([...found].some((end) => name.endsWith(`.${end}`))) continue;
    const end = endsOf(name).find((each) => !taken.has(each) && !found.has(each));
    if (end) found.add(end);
  }
  return [...found];
}

function isTarget(config: TargetOptions, targets: string[] | string, name: string): boolean {
  if (isExcluded(config, name)) return false;
  if (typeof targets === 'string') return fullMatch(targets, name);
  // A full name selects its module whatever layers_to_transform says.
  if (targets.includes(name)) return true;
  return targets.some((target) => name.endsWith(`.${target}`)) && inChosenLayers(config, name);
}

/** Checks whether exclude_modules or modules_to_save leaves a module out. */
export function isExcluded({ exclude_modules, modules_to_save }: TargetOptions, name: string): boolean {
  if (typeof exclude_modules === 'string') {
    if (fullMatch(exclude_modules, name)) return true;
  } else if (exclude_modules?.some((each) => isNamed(name, each))) {
    return true;
  }
  return (modules_to_save ?? []).some((each) => matchesParts(each, name));
}

function inChosenLayers({ layers_to_transform, layers_pattern }: TargetOptions, name: string): boolean {
  const layers = [layers_to_transform ?? []].flat();
  if (layers.length === 0) return true;
  const patterns = [layers_pattern ?? []].flat();
  // The first number in the path is the layer; a later one would be an expert in the layer.
  const expressions =
    patterns.length === 0 ? ['.*?\\.[^.]*\\.(?P<idx>\\d+)\\.'] : patterns.map(layerNumberPattern);
  for (const expression of expressions) {
    const match = matchStart(expression, name);
    if (match) return layers.includes(Number(match.group('idx')));
  }
  return false;
}

/** Checks whether an entry of a list of modules matches `name`: as the full name, or as its end. */
export function isNamed(name: string, entry: string): boolean {
  return name === entry || name.endsWith(`.${entry}`);
}

/** The part of a module's path after the last dot. */
export function lastPart(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

function notFound(config: TargetOptions, targets: string[] | string, modules: TargetableModule[]): string {
  const wanted = [targets].flat();
  const shown = wanted.slice(0, 8).map((each) => `"${each}"`);
  if (wanted.length > shown.length) shown.push('…');
  const found = modules.some(({ name }) =>
    typeof targets === 'string' ? fullMatch(targets, name) : targets.some((target) => isNamed(name, target)),
  );
  if (!found)
    return `target_modules: ${shown.join(', ')} matches no module of this model${suggestions(wanted, modules)}`;
  const narrowing = (['exclude_modules', 'modules_to_save', 'layers_to_transform', 'layers_pattern'] as const)
    .filter((option) => (config[option] ?? null) !== null)
    .map((option) => `${option}=${JSON.stringify(config[option])}`);
  return `target_modules: every module that ${shown.join(', ')} matches is left out by ${narrowing.join(', ')}`;
}

/** "; nearest: …" with last parts of module names, or a list of them if none is near. */
function suggestions(wanted: string[], modules: TargetableModule[]): string {
  const ends = [...new Set(modules.map(({ name }) => lastPart(name)))];
  const near = [...new Set(wanted.slice(0, 8).flatMap((each) => nearest(lastPart(each), ends, 3)))];
  return near.length > 0 ? `; nearest: ${near.join(', ')}` : `; it has ${ends.slice(0, 16).join(', ')}`;
}
