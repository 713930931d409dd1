import { answerSchemaFault } from '@graft/peft-core/config';
import type { GenerationRequest } from '@graft/service';
import type { Static } from 'typebox';
import { ApiError } from '../api-error.ts';
import type { CreateChatCompletionSchema } from '../schemas/chat-completion.ts';

type Body = Pick<
  Static<typeof CreateChatCompletionSchema>,
  'tools' | 'tool_choice' | 'parallel_tool_calls' | 'response_format'
>;
type Demands = Pick<
  Extract<GenerationRequest, { messages: unknown }>,
  'tools' | 'tool_choice' | 'parallel_tool_calls' | 'response_format'
>;

/**
 * What the answer must be, in the worker's format, without what has no effect. Throws `invalid_value` for tools with equal names, a choice of
 * a tool that is not among them, and schemas that are too large or, with `strict`, have keywords that answers may not follow.
 */
export function demandsOf(body: Body): Demands {
  return { ...toolsOf(body), ...formatOf(body) };
}

function toolsOf({ tools, tool_choice, parallel_tool_calls }: Body): Demands {
  const choice = tool_choice ?? 'auto';
  const names = (tools ?? []).map((tool) => tool.function.name);
  if (names.length === 0) {
    if (choice === 'auto' || choice === 'none') return {};
    throw refusal('tool_choice', "requires a call, but there are no 'tools'");
  }
  for (const [i, { function: tool }] of tools!.entries()) {
    const param = `tools[${i}].function`;
    if (names.indexOf(tool.name) !== i)
      throw refusal(`${param}.name`, `is '${tool.name}', like that of an earlier tool`);
    const fault = tool.parameters
      ? answerSchemaFault(tool.parameters, { strict: tool.strict ?? false })
      : null;
    if (fault !== null) throw refusal(`${param}.parameters`, fault);
    const { type } = tool.parameters ?? {};
    if (type !== undefined && type !== 'object')
      throw refusal(`${param}.parameters`, 'must be the schema of an object');
  }
  const name = typeof choice === 'object' ? choice.function.name : null;
  if (name !== null && !names.includes(name))
    throw refusal('tool_choice', `names '${name}', which is not among 'tools'`);
  const isAny = choice === 'auto';
  return {
    // The template shows them as it shows those of training data: all fields, in the order given.
    tools: tools!.map(({ type, function: tool }) => ({ type, function: withoutNulls(tool) })),
    ...(isAny ? {} : { tool_choice: name === null ? (choice as 'none' | 'required') : { name } }),
    ...(parallel_tool_calls === false ? { parallel_tool_calls: false } : {}),
  };
}

function withoutNulls<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], null> } {
  const entries = Object.entries(value).filter(([, each]) => each !== null);
  return Object.fromEntries(entries) as { [K in keyof T]: Exclude<T[K], null> };
}

function formatOf({ response_format: format }: Body): Demands {
  if (!format || format.type === 'text') return {};
  if (format.type === 'json_object') return { response_format: { type: 'json_object' } };
  const { schema, strict } = format.json_schema;
  const param = 'response_format.json_schema.schema';
  if (!schema)
    throw new ApiError('missing_required_parameter', `Missing required parameter: '${param}'.`, { param });
  const fault = answerSchemaFault(schema, { strict: strict ?? false });
  if (fault !== null) throw refusal(param, fault);
  return { response_format: { type: 'json_schema', schema } };
}

function refusal(param: string, why: string): ApiError {
  return new ApiError('invalid_value', `'${param}' ${why}.`, { param });
}
