import { TOOL_NAME } from '@graft/peft-core/chat';
import { Type } from 'typebox';
import { input, nullable, oneOf, optional } from './schema.ts';

const JsonSchema = Type.Record(Type.String(), Type.Unknown());
const FunctionName = Type.String({ pattern: TOOL_NAME.source });

/** A tool of a request. Templates receive its other fields, too. */
export const ToolParameterSchema = Type.Object({
  type: Type.Literal('function'),
  function: Type.Object({
    name: FunctionName,
    ...optional({
      description: nullable(Type.String()),
      parameters: nullable(JsonSchema, { description: 'JSON schema of the arguments. Default: none.' }),
      strict: nullable(Type.Boolean(), {
        description:
          'Whether to refuse a schema with keywords that arguments are not guaranteed to follow. Arguments follow the schema, and it is checked, where `tool_choice` requires a call or `response_format` constrains the answer.',
      }),
    }),
  }),
});

export const ToolChoiceSchema = Type.Union(
  [
    oneOf(['none', 'auto', 'required']),
    input({ type: Type.Literal('function'), function: input({ name: FunctionName }) }),
  ],
  {
    description:
      'Whether the answer calls a tool. `auto`: as the model chooses. `none`: never; the prompt does not show the tools. `required`: at least one, and a function: that one, both with arguments that follow their schema. Default: `auto`.',
  },
);

export const ResponseFormatSchema = Type.Union(
  [
    input({ type: Type.Literal('text') }),
    input({ type: Type.Literal('json_object') }),
    input({
      type: Type.Literal('json_schema'),
      json_schema: input({
        name: Type.String({ pattern: '^[a-zA-Z0-9_-]{1,64}$' }),
        description: Type.Optional(nullable(Type.String())),
        schema: Type.Optional(nullable(JsonSchema)),
        strict: Type.Optional(
          nullable(Type.Boolean(), {
            description:
              'Whether to refuse a schema with keywords that answers are not guaranteed to follow.',
          }),
        ),
      }),
    }),
  ],
  {
    description:
      'Form of the content. `json_object`: a JSON object. `json_schema`: JSON that follows the schema. Tokens that would break the form are never chosen; only an answer that `max_tokens` cuts off is incomplete.',
  },
);
