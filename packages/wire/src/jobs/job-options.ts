import { peftTypes } from '@graft/peft-core/config';
import { TASK_TYPES } from '@graft/peft-core/outlines';
import { Type } from 'typebox';
import { input, named, nullable, oneOf, optional, ref } from '../schema.ts';

const JsonSchema = (description: string) =>
  Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true, description });
const Options = JsonSchema;

export const MethodSchema = named('FineTuningMethod', {
  peft_type: oneOf(peftTypes),
  title: Type.String({ description: 'Name of the method, as in its paper.' }),
  when: Type.String({ description: 'When to choose the method.' }),
  paper: Type.String({ description: 'URL of the paper.' }),
  permitted: Type.Boolean({ description: 'Whether the team’s quota permits the method.' }),
  usual: Options('Options of a typical configuration.'),
  usual_needs_model: Type.Boolean({
    description: 'Whether the typical configuration is meaningful only for some models.',
  }),
  options: JsonSchema('JSON Schema of the method’s options, with their defaults.'),
  module_options: Type.Array(Type.String(), { description: 'Names of the options that select modules.' }),
});

export const FormatSchema = Type.Object({
  name: Type.String({ description: 'Name of the format, as in `format` of files and reports.' }),
  title: Type.String({ description: 'Description of a line.' }),
  sample: Type.String({ description: 'Sample line of a file.' }),
  tasks: Type.Array(oneOf(TASK_TYPES), {
    description: 'Tasks that can be trained with this format, the most common first.',
  }),
});

export const MetricSchema = named('FineTuningMetric', {
  name: Type.String({
    description: 'Key in `metrics` of a job’s metrics, of its events and of adapter versions.',
  }),
  label: Type.String({ description: 'Title of its chart.' }),
  unit: oneOf(['share', 'number', 'per_second', 'bytes'], {
    description: 'Unit of the values. `share`: from 0 to 1.',
  }),
  better: nullable(oneOf(['higher', 'lower']), {
    description: 'Whether higher or lower values are better. Null: neither.',
  }),
  measured: Type.Array(oneOf(['step', 'evaluation']), {
    description:
      'When the metric is measured: after each optimizer step, on the validation examples, or both.',
  }),
  field: nullable(Type.String(), {
    description:
      'Field of a job’s metrics that has the same value, also for training steps. Null if there is none.',
  }),
});

export const ObjectiveSchema = named('FineTuningObjective', {
  name: Type.String(),
  method: Type.String({ description: 'Value of `method.type` of a job.' }),
  formats: Type.Array(Type.String(), {
    description: 'Formats of training files that the objective can be trained on.',
  }),
  tasks: Type.Array(oneOf(TASK_TYPES)),
  metrics: Type.Array(ref(MetricSchema), { description: 'Metrics in addition to the loss.' }),
});

export const TrainingMethodSchema = Type.Object({
  type: Type.String({ description: 'Value of `method.type` of a job.' }),
  title: Type.String({ description: 'Usual name of the method.' }),
  when: Type.String({ description: 'When to choose the method.' }),
  preference: nullable(JsonSchema('JSON Schema of its `training.preference`.'), {
    description: 'Null for methods that do not learn from preferences.',
  }),
});

const ModuleSchema = Type.Object({
  name: Type.String({ description: 'Suffix of the module names, for use in options.' }),
  kind: oneOf(['linear', 'embedding', 'norm', 'convolution', 'other']),
  count: Type.Integer({ minimum: 1, description: 'Number of modules with this suffix.' }),
  in: nullable(Type.Integer()),
  out: nullable(Type.Integer()),
  all_linear: Type.Boolean({ description: 'Whether `all-linear` includes these modules.' }),
});

export const TrainableModelSchema = named('TrainableModel', {
  id: Type.String({ description: 'Id of the base model.' }),
  start_from: nullable(Type.String(), {
    description: 'Adapter version, as requested. Null if none was requested.',
  }),
  peft: nullable(Options('PEFT configuration with which training continues from that version.')),
  model_type: Type.String(),
  tasks: Type.Array(oneOf(TASK_TYPES), { description: 'Tasks that the model can be trained for.' }),
  task_type: oneOf(TASK_TYPES, { description: 'Default task.' }),
  layers: Type.Integer(),
  context_length: Type.Integer({ description: 'Context length of the model in tokens.' }),
  modules: Type.Array(ModuleSchema),
});

export const JobOptionsSchema = named('FineTuningOptions', {
  object: Type.Literal('fine_tuning.options'),
  default_peft: Options(
    'PEFT configuration of a job without `peft`. Its rank does not exceed the team’s `max_rank`.',
  ),
  methods: Type.Array(ref(MethodSchema)),
  formats: Type.Array(FormatSchema, { description: 'Formats of training data.' }),
  objectives: Type.Array(ref(ObjectiveSchema), { description: 'Training objectives with their metrics.' }),
  training_methods: Type.Array(TrainingMethodSchema, {
    description: 'Training methods: values of `method.type`, with their own options.',
  }),
  training: JsonSchema('JSON Schema of `training`.'),
  hyperparameters: JsonSchema('JSON Schema of `method.supervised.hyperparameters`.'),
  sweep: JsonSchema('JSON Schema of `sweep`.'),
  model: nullable(ref(TrainableModelSchema), {
    description: 'The requested model. Null if none was requested, or while it is being fetched.',
  }),
});

export const JobOptionsQuery = input(
  optional({
    model: Type.String({
      minLength: 1,
      maxLength: 256,
      description: 'Model, as in the request for a new job.',
    }),
    start_from: Type.String({
      minLength: 1,
      maxLength: 512,
      description: 'Adapter version to continue from, as in the request for a new job.',
    }),
  }),
);
