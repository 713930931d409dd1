import type { Tool } from '../../chat/message.ts';
import type { ConstraintFormat, JsonSchema } from '../../chat/tool-styles/tool-style.ts';
import type { AnswerForm } from '../../chat/tool-styles/tool-styles.ts';
import { GraftError } from '../../errors.ts';
import { answerSchemaFault } from '../../schema/answers/answer-schema.ts';
import { GrammarRules } from '../../schema/answers/rules.ts';

/** Requirements of an answer, as in OpenAI's API. */
export interface AnswerDemands {
  /** Tools that the answer may call; default none. */
  tools?: readonly Tool[];
  /** Use of tools: as the model chooses, never, at least one, or the one with this name. Default "auto". */
  tool_choice?: 'auto' | 'none' | 'required' | { name: string };
  /** True where the answer may have several calls. Default true. */
  parallel_tool_calls?: boolean;
  /** The form of its content; default any text. */
  response_format?: { type: 'json_object' } | { type: 'json_schema'; schema: JsonSchema };
}

/** The tools of a prompt: none if the answer must not call one. Throws `tools_not_supported` and `invalid_value`. */
export function toolsOf(
  { tools = [], tool_choice = 'auto' }: AnswerDemands,
  { style }: AnswerForm,
): readonly Tool[] {
  if (tools.length === 0 || tool_choice === 'none') return [];
  if (!style)
    throw new GraftError(
      'tools_not_supported',
      "the model's chat template has no tool calls in a form that Graft reads; choose a model whose template has them, or leave out 'tools'",
      { param: 'tools' },
    );
  if (typeof tool_choice === 'object' && !tools.some(({ function: { name } }) => name === tool_choice.name))
    throw new GraftError(
      'invalid_value',
      `'tool_choice' must name one of 'tools', got '${tool_choice.name}'`,
      { param: 'tool_choice' },
    );
  return tools;
}

/** Maximum steps of reading an answer's schemas on the event loop of all answers: some 5 ms. */
const STEPS_AT_ONCE = 15_000;

/** The grammar of an answer, and the field that demands it; null if it may be any text. Throws `invalid_schema`. */
export function constraintOf(
  { tool_choice = 'auto', parallel_tool_calls: parallel = true, response_format, ...demands }: AnswerDemands,
  form: AnswerForm,
): { format: ConstraintFormat; param: string } | null {
  const { style, template } = form;
  const shown = toolsOf({ ...demands, tool_choice }, form);
  const tools =
    typeof tool_choice === 'object' ? shown.filter((tool) => tool.function.name === tool_choice.name) : shown;
  // The thread of grammars reads schemas that take longer, and reports their faults.
  const budget = { left: STEPS_AT_ONCE };
  const rules = new GrammarRules(budget);
  const checkSchema = (schema: JsonSchema, what: string, param: string) => {
    const fault = budget.left < 0 ? null : answerSchemaFault(schema, { rules });
    if (fault !== null && budget.left >= 0)
      throw new GraftError('invalid_schema', `${what} ${fault}`, { param });
  };
  const isCalled = tool_choice !== 'auto' || response_format;
  for (const { function: tool } of isCalled ? tools : [])
    checkSchema(tool.parameters ?? {}, `the parameters of the tool '${tool.name}'`, 'tools');
  if (response_format?.type === 'json_schema')
    checkSchema(response_format.schema, 'the JSON schema', 'response_format');
  if (style && tools.length > 0 && typeof tool_choice === 'object')
    return { format: style.constraint({ tools, parallel: false }, template), param: 'tools' };
  if (style && tools.length > 0 && tool_choice === 'required')
    return { format: style.constraint({ tools, parallel }, template), param: 'tools' };
  if (!response_format) return null;
  const json_schema = response_format.type === 'json_object' ? { type: 'object' } : response_format.schema;
  const json: ConstraintFormat = { type: 'json_schema', json_schema };
  const content: ConstraintFormat = style?.contentTag
    ? { type: 'tag', ...style.contentTag, content: json }
    : json;
  if (!style || tools.length === 0) return { format: content, param: 'response_format' };
  const calls = style.constraint({ tools, parallel }, template);
  return { format: { type: 'or', elements: [content, calls] }, param: 'response_format' };
}
