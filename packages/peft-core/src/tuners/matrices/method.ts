/** Common parts of methods that change whole weights, as in HF PEFT. Loads no TensorFlow. */

import { isClassifier, type ModelOutline } from '../../outlines/outline.ts';
import type { Fault } from '../../schema/check-fields.ts';
import { layerFaults, modulePatternFaults } from '../../schema/module-options.ts';
import { checkPatterns, checkTargetNames, checkTransposed } from '../idle-targets.ts';
import { chosenRank, costlyTargets, type Method, type MethodConfig, rateByWidth } from '../method.ts';
import { isNarrow, targetsAllLinear } from '../target-modules.ts';
import { checkRank, type MatrixOptions, type MatrixTarget, matrixFileTensors } from './targets.ts';

export type MatrixConfig = MatrixOptions & MethodConfig;

/** A method with the modules that its tuner changes. */
export interface MatrixMethod<Config extends MatrixConfig, Target> extends Method<Config> {
  /** Throws what `matrixTargets` throws. */
  targets(config: Config, model: ModelOutline): Target[];
}

/** Members of `Method` that `matrixMethod` derives. A row may override those of the second line. */
type Derived =
  | 'library'
  | 'trials'
  | 'faults'
  | 'learningRate'
  | 'check'
  | 'checkIdle'
  | 'keptNumbers'
  | 'unimplemented'
  | 'choose'
  | 'fileTensors';

/** A row of such a method: what it does with each module, and how it differs from the others. */
interface MatrixRow<Config extends MatrixConfig, Target>
  extends Omit<MatrixMethod<Config, Target>, Derived>,
    Partial<Pick<Method<Config>, 'unimplemented' | 'choose' | 'fileTensors'>> {
  usual: { target_modules: 'all-linear'; r?: number; [option: string]: unknown };
  /** Options with which a classifier learns the example. */
  classifier: Record<string, unknown>;
  /** Arguments of `rateByWidth` for classifiers and for other models. Measured: see docs/auto.md. */
  rates: { classifier: number; others: number };
  /** Violations of rules between the method's own options. */
  faults?(given: Record<string, unknown>): Fault[];
  /** Throws if a module does not fit. Called for requests and for files. */
  checkTarget?(target: Target, config: Config): void;
  /** The rank of a module's update, which in a request must not exceed the sizes of its weight. */
  rank?(target: Target, config: Config): number;
  /** The trained tensors of a module. */
  tensors(target: Target, config: Config): { name: string; shape: number[] }[];
  /** `Method.keptNumbers` of one module. */
  kept?(target: Target, config: Config): number;
}

export function matrixMethod<Config extends MatrixConfig, Target extends MatrixTarget = MatrixTarget>(
  row: MatrixRow<Config, Target>,
): MatrixMethod<Config, Target> {
  const { usual, classifier, rates, targets, schema, kept } = row;
  const { alpha } = schema.properties as Record<string, { default?: unknown }>;
  return {
    library: 'HF PEFT',
    trials: {
      languageModel: { options: usual, epochs: 3, margin: 50 },
      classifier: { options: classifier, epochs: 10 },
    },
    unimplemented: {},
    choose(given, maxRank) {
      const r = chosenRank(given, usual.r!, maxRank);
      return { ...usual, r, ...(alpha && { alpha: 2 * r }) };
    },
    costly: { ...(alpha && { alpha: `it is ${alpha.default}` }), ...costlyTargets },
    learningRate: ({ task_type: task }, model) =>
      rateByWidth(isClassifier(task) ? rates.classifier : rates.others, model),
    fileTensors: (config, model) =>
      matrixFileTensors(config, model, targets(config, model), (target) => row.tensors(target, config)),
    ...(kept && {
      keptNumbers: (config, model) =>
        targets(config, model).reduce((sum, target) => sum + kept(target, config), 0),
    }),
    ...row,
    faults: (given) => [...modulePatternFaults(given), ...layerFaults(given), ...(row.faults?.(given) ?? [])],
    check(config, model) {
      for (const target of targets(config, model)) row.checkTarget?.(target, config);
    },
    checkIdle(config, model) {
      const adapted = targets(config, model);
      const names = adapted.map(({ name }) => name);
      checkTargetNames(config, model);
      checkPatterns(config, names);
      for (const target of row.rank ? adapted : []) {
        // "all-linear" chooses narrow modules as well.
        if (targetsAllLinear(config) && isNarrow(target, model)) continue;
        const rank = row.rank!(target, config);
        const param = rank === (config as { r?: number }).r ? 'r' : 'rank_pattern';
        checkRank(rank, Math.min(target.width, target.out), target, param);
      }
      checkTransposed(config, names, model);
    },
  };
}
