import type { BaseModelEntry, CheckpointAdapter, FineTunedModel } from '@graft/service';
import { type Static, Type } from 'typebox';
import { limit } from './list.ts';
import { deletedSchema, input, named, nullable, Time, unixSeconds } from './schema.ts';

export const ModelSchema = named('Model', {
  id: Type.String({ description: 'What requests name as `model`.' }),
  object: Type.Literal('model'),
  created: Time,
  owned_by: Type.String({ description: '`graft` for a base model, else the team.' }),
  base_model: nullable(Type.String(), { description: 'Null for a base model.' }),
  hub: nullable(
    Type.Object({
      id: Type.String({ description: 'What transformers, vLLM and others load.' }),
      quantization: nullable(Type.String(), {
        description:
          'How the weights that Graft trains on are quantised, such as `Q4_1`, or their GGUF file. Null: they are the Hub’s full weights.',
      }),
    }),
    {
      description:
        'Of a base model: the same model on the Hugging Face Hub. Null: it is known by its files alone, or this is no base model.',
    },
  ),
  adapter: nullable(Type.Object({ id: Type.String(), version: Type.Integer() }), {
    description: 'Null for a base model, and for a checkpoint, which is no version yet.',
  }),
  job: nullable(Type.String(), { description: 'The fine-tuning job that made it; null: it was uploaded.' }),
});

export const ListModelsQuery = input({
  after: Type.Optional(
    Type.String({ minLength: 1, maxLength: 512, description: 'Id of the last model of the page before.' }),
  ),
  limit: limit(1000, 1000),
});

export const DeletedModelSchema = deletedSchema('DeletedModel', 'model');

type WireModel = Static<typeof ModelSchema>;

export function toWireBaseModel(model: BaseModelEntry): WireModel {
  return {
    id: model.id,
    object: 'model',
    created: unixSeconds(model.createdAt),
    owned_by: 'graft',
    base_model: null,
    hub: model.hub,
    adapter: null,
    job: null,
  };
}

export function toWireFineTunedModel(version: FineTunedModel): WireModel {
  return {
    id: version.modelName,
    object: 'model',
    created: unixSeconds(version.createdAt),
    owned_by: version.teamId,
    base_model: version.baseModel,
    hub: null,
    adapter: { id: version.adapterId, version: version.number },
    job: version.jobId,
  };
}

export function toWireCheckpointModel(checkpoint: CheckpointAdapter): WireModel {
  return {
    id: checkpoint.modelName,
    object: 'model',
    created: unixSeconds(checkpoint.createdAt),
    owned_by: checkpoint.teamId,
    base_model: checkpoint.baseModel,
    hub: null,
    adapter: null,
    job: checkpoint.jobId,
  };
}
