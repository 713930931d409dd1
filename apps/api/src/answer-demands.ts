import { readTools, type Tool } from '@graft/peft-core/chat';
import { answerSchemaFault, GraftError, GrammarRules } from '@graft/peft-core/config';
import type { GenerationRequest } from '@graft/service/channel';
import type { CreateChatCompletionSchema } from '@graft/wire/chat-completion';
import type { Static } from 'typebox';

export type DemandsBody = Pick<
  Static<typeof CreateChatCompletionSchema>,
  'tools' | 'tool_choice' | 'parallel_tool_calls' | 'response_format'
>;
export type Demands = Pick<
  Extract<GenerationRequest, { messages: unknown }>,
  'tools' | 'tool_choice' | 'parallel_tool_calls' | 'response_format'
>;

/**
 * Converts tools, tool choice and response format to the worker's format, without values that have no effect. Throws `invalid_value` for
 * invalid tools, a choice of a tool that is not among them, and schemas that are too large or, with `strict`, have unsupported keywords.
 * `budget`: maximum steps for reading the schemas; by default those of a thread.
 */
export function demandsOf(body: DemandsBody, budget?: { left: number }): Demands {
  const rules = new GrammarRules(budget);
  const format = formatOf(body, rules);
  return { ...toolsOf(body, { isFormed: format.response_format !== undefined, rules }), ...format };
}

/** `isFormed`: `response_format` constrains the content, so the calls are constrained, too. */
function toolsOf(
  { tools: given, tool_choice, parallel_tool_calls }: DemandsBody,
  { isFormed, rules }: { isFormed: boolean; rules: GrammarRules },
): Demands {
  const choice = tool_choice ?? 'auto';
  const tools = readTools(given);
  if ('fault' in tools) throw refusal(tools.field, tools.fault);
  if (tools.length === 0) {
    if (choice === 'auto' || choice === 'none') return {};
    throw refusal('tool_choice', "requires a call, but there are no 'tools'");
  }
  const name = typeof choice === 'object' ? choice.function.name : null;
  if (name !== null && !tools.some((tool) => tool.function.name === name))
    throw refusal('tool_choice', `must name one of 'tools', got '${name}'`);
  const isFollowed = choice !== 'none' && (choice !== 'auto' || isFormed);
  for (const [i, tool] of tools.entries())
    if (isFollowed && (name === null || tool.function.name === name))
      checkParameters(tool, `tools[${i}]`, rules);
  return {
    // The template shows them as it shows those of training data: all fields, in the order given.
    tools,
    ...(choice === 'auto' ? {} : { tool_choice: name === null ? (choice as 'none' | 'required') : { name } }),
    ...(parallel_tool_calls === false ? { parallel_tool_calls: false } : {}),
  };
}

function checkParameters({ function: declared }: Tool, at: string, rules: GrammarRules): void {
  const { parameters, strict } = declared as Tool['function'] & { strict?: boolean };
  if (!parameters) return;
  const param = `${at}.function.parameters`;
  const fault = answerSchemaFault(parameters, { strict: strict ?? false, rules });
  if (fault !== null) throw refusal(param, fault);
  if (parameters.type !== undefined && parameters.type !== 'object')
    throw refusal(param, 'must be the schema of an object');
}

function formatOf({ response_format: format }: DemandsBody, rules: GrammarRules): Demands {
  if (!format || format.type === 'text') return {};
  if (format.type === 'json_object') return { response_format: { type: 'json_object' } };
  const { schema, strict } = format.json_schema;
  const param = 'response_format.json_schema.schema';
  if (!schema)
    throw new GraftError('missing_required_parameter', `Missing required parameter: '${param}'.`, { param });
  const fault = answerSchemaFault(schema, { strict: strict ?? false, rules });
  if (fault !== null) throw refusal(param, fault);
  return { response_format: { type: 'json_schema', schema } };
}

function refusal(param: string, why: string): GraftError {
  return new GraftError('invalid_value', `'${param}' ${why}.`, { param });
}
