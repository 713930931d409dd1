import { moduleKinds } from '@graft/peft-core/check';
import {
  defaultPeftWithin,
  HyperparametersSchema,
  listedObjectives,
  type MetricDescription,
  MODULE_OPTIONS,
  methods,
  type PeftConfig,
  type PeftType,
  peftTypes,
  SweepSchema,
  TrainingOptionsSchema,
  trainingMetrics,
} from '@graft/peft-core/config';
import { formats } from '@graft/peft-core/formats';
import { defaultTask, outlineOf, TASK_TYPES, type TaskType } from '@graft/peft-core/outlines';
import { type Static, Type } from 'typebox';
import { input, named, nullable, ref } from '../schema.ts';

const JsonSchema = (description: string) =>
  Type.Unsafe<Record<string, unknown>>({ type: 'object', additionalProperties: true, description });
const Options = JsonSchema;

const MethodSchema = named('FineTuningMethod', {
  peft_type: Type.Enum(peftTypes, { type: 'string' }),
  title: Type.String({ description: 'As the paper writes it.' }),
  when: Type.String({ description: 'When to choose it.' }),
  paper: Type.String({ description: 'Address of what explains it.' }),
  permitted: Type.Boolean({ description: 'Whether the team’s quota lets it be trained.' }),
  usual: Options('Options of a usual configuration.'),
  usual_needs_model: Type.Boolean({ description: 'Those mean something on some models alone.' }),
  options: JsonSchema('JSON Schema of its options, with their defaults.'),
  module_options: Type.Array(Type.String(), { description: 'Those of them that name modules.' }),
});

const FormatSchema = Type.Object({
  name: Type.String({ description: 'As files and reports have it in `format`.' }),
  title: Type.String({ description: 'What a line is.' }),
  sample: Type.String({ description: 'A line of a file.' }),
  tasks: Type.Array(Type.Enum([...TASK_TYPES], { type: 'string' }), {
    description: 'That learn from it, the usual one first.',
  }),
});

const MetricSchema = named('FineTuningMetric', {
  name: Type.String({ description: 'Key in `metrics` of a job’s series, its events and adapter versions.' }),
  label: Type.String({ description: 'Heading of its curve.' }),
  unit: Type.Enum(['share', 'number', 'per_second', 'bytes'], {
    type: 'string',
    description: '`share`: from 0 to 1.',
  }),
  better: nullable(Type.Enum(['higher', 'lower'], { type: 'string' }), {
    description: 'Which values are better; null: neither.',
  }),
  measured: Type.Array(Type.Enum(['step', 'evaluation'], { type: 'string' }), {
    description: 'After each optimizer step, on the validation examples, or both.',
  }),
  field: nullable(Type.String(), {
    description: 'The field of a job’s series that has the same value, also of steps; null: there is none.',
  }),
});

const ObjectiveSchema = named('FineTuningObjective', {
  name: Type.String(),
  method: Type.String({ description: '`method.type` of a job.' }),
  formats: Type.Array(Type.String(), { description: 'Formats of the training files that it trains on.' }),
  tasks: Type.Array(Type.Enum([...TASK_TYPES], { type: 'string' })),
  metrics: Type.Array(ref(MetricSchema), { description: 'Besides the loss.' }),
});

const ModuleSchema = Type.Object({
  name: Type.String({ description: 'The end of their names, as options take it.' }),
  kind: Type.Enum(['linear', 'embedding', 'norm', 'other'], { type: 'string' }),
  count: Type.Integer({ minimum: 1, description: 'How many there are.' }),
  in: nullable(Type.Integer()),
  out: nullable(Type.Integer()),
  all_linear: Type.Boolean({ description: 'Whether `all-linear` means them.' }),
});

const TrainableModelSchema = named('TrainableModel', {
  id: Type.String({ description: 'The base model.' }),
  start_from: nullable(Type.String(), { description: 'The requested adapter version.' }),
  peft: nullable(Options('The configuration with which training continues from that version.')),
  model_type: Type.String(),
  tasks: Type.Array(Type.Enum([...TASK_TYPES], { type: 'string' }), {
    description: 'What it can be trained for.',
  }),
  task_type: Type.Enum([...TASK_TYPES], { type: 'string', description: 'The usual one of them.' }),
  layers: Type.Integer(),
  context_length: Type.Integer({ description: 'Tokens that it attends to.' }),
  modules: Type.Array(ModuleSchema),
});

export const JobOptionsSchema = named('FineTuningOptions', {
  object: Type.Literal('fine_tuning.options'),
  default_peft: Options('What a job without `peft` trains; its rank is within the team’s `max_rank`.'),
  methods: Type.Array(ref(MethodSchema)),
  formats: Type.Array(FormatSchema, { description: 'Formats of training data: what a line can be.' }),
  objectives: Type.Array(ref(ObjectiveSchema), {
    description: 'What training minimises, and what is measured.',
  }),
  training: JsonSchema('JSON Schema of `training`.'),
  hyperparameters: JsonSchema('JSON Schema of `method.supervised.hyperparameters`.'),
  sweep: JsonSchema('JSON Schema of `sweep`.'),
  model: nullable(ref(TrainableModelSchema), {
    description: 'The requested one; null if none was requested, or while it is fetched.',
  }),
});

export const JobOptionsQuery = input({
  model: Type.Optional(Type.String({ minLength: 1, maxLength: 256, description: 'As a new job takes it.' })),
  start_from: Type.Optional(Type.String({ minLength: 1, maxLength: 512, description: 'The same.' })),
});

export const toWireFormats = (): Static<typeof FormatSchema>[] =>
  formats.map(({ name, title, sample, tasks }) => ({ name, title, sample, tasks: [...tasks] }));

/** `permitted`: methods that the team may train (null: all), and the maximum rank (null: any). */
export function toWireOptions(
  permitted: { methods: readonly PeftType[] | null; maxRank: number | null },
  model: Static<typeof TrainableModelSchema> | null,
): Static<typeof JobOptionsSchema> {
  return {
    object: 'fine_tuning.options',
    default_peft: defaultPeftWithin(permitted.maxRank),
    methods: peftTypes.map((peft_type) => {
      const { title, when, paper, usual, usualNeedsModel = false, schema } = methods[peft_type];
      const options = Object.keys(schema.properties);
      return {
        peft_type,
        title,
        when,
        paper,
        usual,
        usual_needs_model: usualNeedsModel,
        permitted: permitted.methods?.includes(peft_type) ?? true,
        options: { ...schema },
        module_options: MODULE_OPTIONS.filter((option) => options.includes(option)),
      };
    }),
    formats: toWireFormats(),
    objectives: listedObjectives.map(({ name, method, formats, tasks, metrics }) => ({
      name,
      method,
      formats: [...formats],
      tasks: [...tasks],
      metrics: [...metrics, ...trainingMetrics].map(toWireDescription),
    })),
    training: { ...TrainingOptionsSchema },
    hyperparameters: { ...HyperparametersSchema },
    sweep: { ...SweepSchema },
    model,
  };
}

const toWireDescription = (metric: MetricDescription): Static<typeof MetricSchema> => ({
  name: metric.name,
  label: metric.label,
  unit: metric.unit,
  better: metric.better,
  measured: [...metric.measured],
  field: metric.field ?? null,
});

/** Describes a trainable model from its config.json and `start`. Throws the errors of `outlineOf`. */
export function toWireTrainable(
  id: string,
  config: Record<string, unknown>,
  start: { name: string; peft: PeftConfig } | null,
): Static<typeof TrainableModelSchema> {
  const outline = outlineOf(config);
  return {
    id,
    start_from: start?.name ?? null,
    peft: start ? { ...start.peft } : null,
    model_type: outline.modelType,
    tasks: TASK_TYPES.filter((task) => hasTask(config, task)),
    task_type: defaultTask(config),
    layers: outline.layers,
    context_length: outline.maxPositions,
    modules: moduleKinds(outline).map(({ allLinear, ...kind }) => ({ ...kind, all_linear: allLinear })),
  };
}

function hasTask(config: Record<string, unknown>, task: TaskType): boolean {
  try {
    outlineOf(config, task);
    return true;
  } catch {
    return false;
  }
}
