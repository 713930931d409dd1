import { Type } from 'typebox';
import { limit } from './list.ts';
import { maxModelAliases } from './lists.ts';
import { deletedSchema, input, named, namedInput, nullable, Time } from './schema.ts';

export const ModelSchema = named('Model', {
  id: Type.String({ description: 'Id to use as `model` in requests.' }),
  object: Type.Literal('model'),
  created: Time,
  owned_by: Type.String({ description: 'Owner: `graft` for a base model, otherwise the id of the team.' }),
  base_model: nullable(Type.String(), {
    description:
      'Id of the base model of a fine-tuned model; for the alias of a base model, that model. Null for a base model.',
  }),
  hub: nullable(
    Type.Object({
      id: Type.String({ description: 'Hub id that transformers, vLLM and other libraries load.' }),
      quantization: nullable(Type.String(), {
        description:
          'Quantization of the weights that Graft trains on, such as `Q4_1`, or the name of their GGUF file. Null if they are the full weights of the Hub.',
      }),
    }),
    {
      description:
        'For a base model, the same model on the Hugging Face Hub. Null for a fine-tuned model, and for a base model known only by its files.',
    },
  ),
  task_type: nullable(Type.String(), {
    description:
      'What a fine-tuned model does, by its `peft`: CAUSAL_LM and SEQ_2_SEQ_LM write text, FEATURE_EXTRACTION computes embeddings, SEQ_CLS and TOKEN_CLS classify. Null for a base model.',
  }),
  adapter: nullable(Type.Object({ id: Type.String(), version: Type.Integer() }), {
    description: 'Adapter version. Null for a base model and for a checkpoint, which is not a version.',
  }),
  job: nullable(Type.String(), {
    description:
      'Id of the fine-tuning job that trained the model. Null for a base model or an uploaded adapter.',
  }),
  alias_of: nullable(Type.String(), {
    description:
      'For an alias, the model that answers under its name; the other fields are those of that model. Null for any other model.',
  }),
});

export const ListModelsQuery = input({
  after: Type.Optional(
    Type.String({ minLength: 1, maxLength: 512, description: 'Id of the last model of the previous page.' }),
  ),
  limit: limit(1000, 1000),
});

export const DeletedModelSchema = deletedSchema('DeletedModel', 'model');

export const ModelAliasSchema = named('ModelAlias', {
  id: Type.String({ description: 'The alias: what requests use as `model`.' }),
  object: Type.Literal('model.alias'),
  created_at: Time,
  updated_at: Time,
  target: Type.String({
    description:
      'The model that answers: a base model, or the name of a version or a tag. Requests get `model_not_found` while there is none of this name.',
  }),
});

export const SetModelAliasSchema = namedInput('SetModelAlias', {
  target: Type.String({
    minLength: 1,
    maxLength: 512,
    description: 'A base model, or the name of a version or a tag of your team (`ft:…`); not another alias.',
  }),
});

export const ModelAliasParams = Type.Object({
  alias: Type.String({
    description: `Up to 64 letters, digits, ".", "_" and "-", such as gpt-4o-mini; not the id of a base model. A team has at most ${maxModelAliases}.`,
  }),
});

export const DeletedModelAliasSchema = deletedSchema('DeletedModelAlias', 'model.alias');
