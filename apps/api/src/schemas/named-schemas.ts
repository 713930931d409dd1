import {
  HyperparametersSchema,
  methodSchemas,
  PeftConfigSchema,
  PeftRequestSchema,
  ResolvedTrainingSchema,
  TrainingOptionsSchema,
} from '@graft/peft-core/config';
import type { TSchema } from 'typebox';
import { AdapterSchema, AdapterVersionSchema } from './adapter.ts';
import { ChatCompletionSchema, CreateChatCompletionSchema } from './chat-completion.ts';
import { CompletionSchema, CreateCompletionSchema } from './completion.ts';
import { ErrorSchema } from './error.ts';
import { DeletedFileSchema, FileSchema } from './file.ts';
import { CreateJobSchema, JobSchema } from './fine-tuning-job.ts';
import { CheckpointSchema, EventSchema, MetricSchema } from './job-records.ts';
import { DeletedModelSchema, ModelSchema } from './model.ts';

/** Every schema with a name of its own in OpenAPI. */
export const namedSchemas: TSchema[] = [
  ErrorSchema,
  FileSchema,
  DeletedFileSchema,
  CreateJobSchema,
  JobSchema,
  EventSchema,
  CheckpointSchema,
  MetricSchema,
  HyperparametersSchema,
  PeftRequestSchema,
  ...methodSchemas,
  PeftConfigSchema,
  TrainingOptionsSchema,
  ResolvedTrainingSchema,
  ModelSchema,
  DeletedModelSchema,
  AdapterSchema,
  AdapterVersionSchema,
  CreateChatCompletionSchema,
  ChatCompletionSchema,
  CreateCompletionSchema,
  CompletionSchema,
];
