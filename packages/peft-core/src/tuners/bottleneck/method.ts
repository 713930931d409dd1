import { GraftError } from '../../errors.ts';
import { type ModelOutline, writesText } from '../../outlines/outline.ts';
import { optionError, show } from '../../schema/check-fields.ts';
import { countOf, savedTensors } from '../file-tensors.ts';
import { type Method, rateByWidth } from '../method.ts';
import { resolveModulesToSave } from '../target-modules.ts';
import { adaptersLibrary } from './adapters-library.ts';
import {
  type BottleneckConfig,
  BottleneckConfigSchema,
  bottleneckFaults,
  FLOATS,
  NON_LINEARITIES,
  UNIMPLEMENTED_OPTIONS,
  withPreset,
} from './config.ts';
import { placesOf } from './places.ts';

const UNIMPLEMENTED_NON_LINEARITIES =
  'gelu_10 gelu_fast gelu_python gelu_python_tanh gelu_accurate laplace mish relu2 relu6 prelu xielu'.split(
    ' ',
  );
const UNIMPLEMENTED_PRESETS = (
  'scaled_par_bn seq_bn_inv double_seq_bn_inv compacter compacter++ adapter_plus pfeiffer houlsby parallel scaled_parallel ' +
  'pfeiffer+inv houlsby+inv mam unipelt'
).split(' ');

/** Presets by the names that the library still accepts, with what to use in Graft instead. */
const renamed: Record<string, string> = {
  pfeiffer: 'seq_bn',
  houlsby: 'double_seq_bn',
  parallel: 'par_bn',
  scaled_parallel: 'par_bn with scaling "learned"',
  scaled_par_bn: 'par_bn with scaling "learned"',
};

export const bottleneckMethod: Method<BottleneckConfig> = {
  title: 'Bottleneck adapters',
  when: 'Encoders and long experience with them; a small network after each sublayer. It stays in the model when it answers.',
  paper: 'https://arxiv.org/abs/1902.00751',
  library: 'adapters',
  usual: { preset: 'seq_bn' },
  trials: {
    languageModel: { options: { preset: 'double_seq_bn', reduction_factor: 8 }, epochs: 3, margin: 50 },
    classifier: { options: { preset: 'seq_bn' }, epochs: 10 },
  },
  schema: BottleneckConfigSchema,
  unimplemented: UNIMPLEMENTED_OPTIONS,
  unimplementedValue(option, value) {
    if (option === 'non_linearity' && UNIMPLEMENTED_NON_LINEARITIES.includes(value as string))
      return `${show(value)} is not implemented yet; Graft implements ${NON_LINEARITIES.join(', ')}`;
    if (option === 'preset' && UNIMPLEMENTED_PRESETS.includes(value as string)) {
      const instead = renamed[value as string];
      return `${show(value)} is not implemented; ${instead ? `use ${instead}` : 'Graft implements seq_bn, double_seq_bn, par_bn'}`;
    }
    return null;
  },
  expand: withPreset,
  faults: bottleneckFaults,
  /**
   * Language models use the rate of other low-rank updates, other tasks three times as much (npm run sweep); within the range that
   * Houlsby et al. 2019 tried with encoders, 3e-5 to 3e-3.
   */
  learningRate: ({ task_type: task }, model) => rateByWidth(writesText(task) ? 10 : 30, model),
  // In 40 steps a decoder learned at this rate, and became worse at three times the rate.
  maxRateFactor: ({ task_type: task }, dataFactor) => (writesText(task) ? 1 : dataFactor),
  check,
  unmergeable: () => 'its activations lie between the layers, where no weight of the base model is',
  trainedParameters(config, model) {
    const { hiddenSize: width } = model;
    const norms = 2 * width * (Number(config.ln_before) + Number(config.ln_after));
    const scaling = { learned: 1, channel: width }[String(config.scaling)] ?? 0;
    const adapters = placesOf(config, model).map(
      (place) => place.width * (2 * width + 1) + width + norms + scaling,
    );
    return adapters.reduce((sum, each) => sum + each, countOf(savedTensors(config, model).tensors));
  },
  keptNumbers: (config, model) =>
    placesOf(config, model).reduce((sum, { width }) => sum + model.hiddenSize + width, 0),
  tensorNames: ['adapter'],
  floats: FLOATS,
  files: adaptersLibrary,
};

/** Throws `invalid_peft_config`, `unimplemented_peft_option`, `target_modules_not_found`. */
function check(config: BottleneckConfig, model: ModelOutline): void {
  const { layers, residualSites } = model;
  if (model.adaptersInterface === null)
    throw new GraftError(
      'unimplemented_peft_option',
      `peft_type "BOTTLENECK": the adapters library, whose files it writes, has no ${model.modelType} models; use another method`,
      { param: 'peft.peft_type' },
    );
  const depth = 1 + Math.max(-1, ...residualSites.map(({ layer }) => layer));
  const stray = config.leave_out.find((layer) => layer >= depth);
  if (stray !== undefined)
    throw optionError('leave_out', `there is no layer ${stray}; layers are 0 to ${depth - 1}`);
  const given = typeof config.reduction_factor === 'object' ? Object.keys(config.reduction_factor) : [];
  const unknown = given.find((layer) => layer !== 'default' && Number(layer) >= depth);
  if (unknown !== undefined)
    throw optionError('reduction_factor', `there is no layer ${unknown}; layers are 0 to ${depth - 1}`);
  if (config.cross_adapter && !residualSites.some(({ sublayer }) => sublayer === 'cross_attention'))
    throw optionError('cross_adapter', `${model.modelType} has no cross-attention`);
  if (placesOf(config, model).length === 0)
    throw optionError('leave_out', `no adapter is left: all ${layers} layers are left out`);
  if (config.residual_before_ln === 'post_add' && !residualSites.some(({ postNorm }) => postNorm))
    throw optionError(
      'residual_before_ln',
      `"post_add" needs a model that norms the sum of sublayer and residual; ${model.modelType} norms before its sublayers`,
    );
  // In these models the library hooks the projections, so the model itself adds the residual and applies the norm.
  if (!config.original_ln_after && model.adaptersInterface)
    throw optionError('original_ln_after', `must be true for ${model.modelType}, as in the adapters library`);
  if (config.original_ln_before && model.adaptersInterface?.layer_ln_1)
    throw optionError(
      'original_ln_before',
      `must be false for ${model.modelType}, where the adapters library applies the last layer's norm in every layer; preset double_seq_bn has it so`,
    );
  checkSavedModules(config, model);
}

/** Refuses modules other than the head: the library's files hold only adapters and a head. */
function checkSavedModules(config: BottleneckConfig, model: ModelOutline): void {
  for (const module of resolveModulesToSave(config, model.modules)) {
    const refuse = (reason: string) =>
      new GraftError('unimplemented_peft_option', `modules_to_save: "${module}" ${reason}`, {
        param: 'peft.modules_to_save',
      });
    if (module !== 'lm_head' && !model.taskHead.includes(module))
      throw refuse(
        "is a part of the base model; the adapters library's files hold adapters and the output layer only",
      );
    if (model.aliases[`${module}.weight`] !== undefined)
      throw refuse('is tied to the embeddings, and the adapters library keeps it so when it loads the files');
  }
}
