import { type Static, type TObject, Type } from 'typebox';
import { addTools, readsTools, WITH_TOOLS } from '../chat/template-tools.ts';
import { GraftError } from '../errors.ts';
import { type Fault, isRecord } from '../schema/check-fields.ts';
import { TemplateKwargsSchema, templateKwargsFault } from '../schema/template-kwargs.ts';

/** Maximum length of a job's own template. The longest templates in use have some 20,000 characters. */
const MAX_TEMPLATE = 32_768;

/** How conversations become tokens. Absent from a resolved job where they are off, so that jobs of earlier versions remain unchanged. */
export const chatTraining = {
  chat_template: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: MAX_TEMPLATE,
      description:
        'Jinja chat template, or "tools": that of the base model, with tools added if it has none. Stored with the adapter as chat_template.jinja, and used when the adapter answers. Default: the template of `start_from`, or of the base model.',
    }),
  ),
  chat_template_kwargs: Type.Optional(
    Type.Unsafe<Record<string, unknown>>({
      ...TemplateKwargsSchema,
      description:
        'Variables of the chat template, such as {"enable_thinking": false}. Requests to the adapter use them too, unless they set the same names. Default: none.',
    }),
  ),
  train_on: Type.Optional(
    Type.Enum(['all_assistant', 'last_assistant'], {
      type: 'string',
      description:
        'Assistant messages of a conversation that count towards the loss, tool calls included: all, or only the last one. A message with "weight": 0 never does. Default all_assistant.',
    }),
  ),
  mask_reasoning: Type.Optional(
    Type.Boolean({
      description:
        'Whether to exclude the reasoning of assistant messages (`reasoning_content`) from the loss, so that only their answers and tool calls are trained. Default false.',
    }),
  ),
};

export type ChatTraining = Static<TObject<typeof chatTraining>>;

/** The chat templates that a job may start from. */
export interface KnownTemplates {
  /** The own template of the adapter that training continues from; null or absent: none. */
  startTemplate?: string | null;
  /** The base model's; null: none, absent: not known yet. */
  baseTemplate?: string | null;
}

/** The options that differ from their default. Throws `invalid_training_option`. */
export function resolveChat(training: ChatTraining, known: KnownTemplates): ChatTraining {
  const resolved: ChatTraining = {};
  const template = ownTemplate(training.chat_template, known);
  if (template !== null) resolved.chat_template = template;
  if (Object.keys(training.chat_template_kwargs ?? {}).length > 0)
    resolved.chat_template_kwargs = training.chat_template_kwargs!;
  if (training.train_on === 'last_assistant') resolved.train_on = training.train_on;
  if (training.mask_reasoning) resolved.mask_reasoning = true;
  return resolved;
}

/** The template that replaces the base model's; null: none. */
export function ownTemplate(
  asked: string | undefined,
  { startTemplate = null, baseTemplate }: KnownTemplates,
): string | null {
  if (asked !== WITH_TOOLS) return asked ?? startTemplate;
  if (baseTemplate === null)
    throw new GraftError(
      'invalid_training_option',
      `training.chat_template "${WITH_TOOLS}" adds tools to the base model's chat template, and this model has none; give a template`,
      { param: 'training.chat_template' },
    );
  return baseTemplate === undefined || readsTools(baseTemplate) ? null : addTools(baseTemplate);
}

/** Faults of a request's options that the schemas do not express. */
export function chatFaults({ chat_template, chat_template_kwargs }: Record<string, unknown>): Fault[] {
  const faults: Fault[] = [];
  const add = (option: keyof ChatTraining, message: string | null) => {
    if (message) faults.push({ code: 'invalid_training_option', path: `training.${option}`, message });
  };
  const isUnstorable = typeof chat_template === 'string' && /[\0\ud800-\udfff]/u.test(chat_template);
  add('chat_template', isUnstorable ? 'must have Unicode characters other than NUL' : null);
  add(
    'chat_template_kwargs',
    isRecord(chat_template_kwargs) ? templateKwargsFault(chat_template_kwargs) : null,
  );
  return faults;
}
