import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { moduleKinds } from '@graft/peft-core/check';
import {
  defaultPeftWithin,
  describedMethods,
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
import { readQuota } from '@graft/service/teams';
import {
  type FormatSchema,
  JobOptionsQuery,
  JobOptionsSchema,
  type MetricSchema,
  type TrainableModelSchema,
  type TrainingMethodSchema,
} from '@graft/wire/jobs/job-options';
import { ref } from '@graft/wire/schema';
import { type Static, Type } from 'typebox';
import { ApiError } from '../../api-error.ts';
import { findStart } from '../../jobs/find-start.ts';
import { openBaseModel } from '../../jobs/open-base-model.ts';
import { operation } from './operation.ts';

/** Milliseconds to open a base model, which may have to be downloaded first. */
const openModelPatience = 10_000;

/** /fine_tuning/options: everything that a form for a new job needs. */
export const jobOptionRoutes: FastifyPluginAsyncTypebox = async (app) => {
  const { services } = app;

  app.get(
    '/fine_tuning/options',
    operation(
      { access: { scope: 'jobs:read', models: 'start' } },
      'Get the options of fine-tuning jobs',
      ref(JobOptionsSchema),
      {
        description:
          'Returns the methods, when to choose them and the schemas of their options, the formats of training data, and for a base model the modules that options can name. Clients can build a form for jobs from it.',
        querystring: JobOptionsQuery,
      },
    ),
    async ({ caller, query: { model, start_from } }) => {
      const quota = await readQuota(services, caller.teamId);
      const permitted = { methods: quota?.methods ?? null, maxRank: quota?.maxRank ?? null };
      if (model === undefined) {
        if (start_from === undefined) return toWireOptions(permitted, null);
        throw new ApiError(
          'missing_required_parameter',
          "'start_from' requires 'model', the base model of the adapter.",
          { param: 'model' },
        );
      }
      const { baseModel, startFrom } = await findStart(services, caller, {
        model,
        ...(start_from !== undefined && { start_from }),
      });
      const local = await openBaseModel(services, baseModel, AbortSignal.timeout(openModelPatience));
      const start = startFrom && { name: startFrom.modelName, peft: startFrom.peft };
      return toWireOptions(permitted, local && toWireTrainable(baseModel, local.config, start));
    },
  );
};

export const toWireTrainingMethods = (): Static<typeof TrainingMethodSchema>[] =>
  describedMethods.map(({ type, title, when, preference }) => ({
    type,
    title,
    when,
    preference: preference && { ...Type.Object(preference, { additionalProperties: false }) },
  }));

export const toWireFormats = (): Static<typeof FormatSchema>[] =>
  formats.map(({ name, title, sample, tasks }) => ({ name, title, sample, tasks: [...tasks] }));

/** `permitted`: methods that the team may train (null: all), and the maximum rank (null: any). */
function toWireOptions(
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
    training_methods: toWireTrainingMethods(),
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
function toWireTrainable(
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
