import { type Static, type TObject, Type } from 'typebox';
import type { SentencePrompts } from '../base-model/sentence-prompts.ts';
import type { Objective } from '../objectives/objective.ts';
import { cut, type Fault, show } from '../schema/check-fields.ts';

/** Treatment of lines that are no examples, or that the model cannot be trained on. */
export type OnBadLines = 'fail' | 'skip';

/** Default of `max_bad_lines`. */
const MAX_BAD_LINES = 100;

/** How data files become examples. Absent from a resolved job where they are off, so that jobs of earlier versions remain unchanged. */
export const dataTraining = {
  columns: Type.Optional(
    Type.Record(Type.String(), Type.String({ minLength: 1, maxLength: 200 }), {
      minProperties: 1,
      maxProperties: 16,
      description:
        'Which column of the data files each field is in, such as {"prompt": "question", "completion": "answer"}; other columns are ignored. Default: the mapping that the training file was uploaded with, or what is recognised.',
    }),
  ),
  on_bad_lines: Type.Optional(
    Type.Enum(['fail', 'skip'], {
      type: 'string',
      description:
        'What happens to lines that are no examples, or that the model cannot be trained on. fail: the job fails and lists them. skip: they are left out, and the job lists them in `data.bad_lines`. Default fail.',
    }),
  ),
  max_bad_lines: Type.Optional(
    Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description:
        'With on_bad_lines skip: maximum number of bad lines in a file; with more the job fails. Default 100.',
    }),
  ),
  prompts: Type.Optional(
    Type.Record(Type.String(), Type.String({ maxLength: 2048 }), {
      maxProperties: 3,
      description:
        'For FEATURE_EXTRACTION: the text that is put before each text of a column, such as {"anchor": "query: ", "positive": "passage: "}, or the name of one of the base model\'s prompts, such as {"anchor": "query"}. A column that is left out has none; {} is no prompts. Default: the prompts of the base model, if it has any: query for anchors, document or passage for positives and negatives, otherwise its default prompt.',
    }),
  ),
};

export type DataTraining = Static<TObject<typeof dataTraining>>;

/** Faults of a request's options that the schemas do not express. */
export function dataFaults({ on_bad_lines, max_bad_lines }: Record<string, unknown>): Fault[] {
  if (max_bad_lines === undefined || on_bad_lines === 'skip') return [];
  const path = 'training.max_bad_lines';
  return [{ code: 'invalid_training_option', path, message: 'needs on_bad_lines: "skip"' }];
}

/** The options that differ from their default, besides `prompts`. */
export function resolveData({ columns, on_bad_lines, max_bad_lines }: DataTraining): DataTraining {
  const resolved: DataTraining = {};
  if (columns) resolved.columns = columns;
  if (on_bad_lines === 'skip') {
    resolved.on_bad_lines = on_bad_lines;
    resolved.max_bad_lines = max_bad_lines ?? MAX_BAD_LINES;
  }
  return resolved;
}

/** A name of a prompt, in contrast to the text of one, which ends in a space, a colon or a line. */
const likeName = /^[\w-]+$/;

/**
 * The text before each column's texts: as asked, or `start`'s, those of the adapter that training continues from, or the base model's.
 * `known`: the base model's prompts; undefined: it is not known yet. No `prompts` if no column has any by default.
 */
export function resolvePrompts(
  { prompts: asked }: Pick<DataTraining, 'prompts'>,
  { promptColumns, name: objective }: Pick<Objective, 'promptColumns' | 'name'>,
  known: SentencePrompts | null | undefined,
  start: DataTraining['prompts'] | null = null,
): { prompts: DataTraining['prompts']; faults: Fault[] } {
  const faults: Fault[] = [];
  const fault = (path: string, message: string) =>
    faults.push({ code: 'invalid_training_option', path: `training.${path}`, message });
  if (!promptColumns) {
    if (asked)
      fault('prompts', `is for pairs of texts (FEATURE_EXTRACTION), not for ${objective}; leave it out`);
    return { prompts: undefined, faults };
  }
  const own = known?.prompts ?? {};
  const columns = Object.entries(promptColumns);
  if (!asked) {
    const usual = columns.map(([column, names]): [string, string] => {
      const name = names.find((each) => Object.hasOwn(own, each)) ?? known?.defaultName;
      return [column, name ? own[name]! : ''];
    });
    const prompts = start ?? withTexts(usual);
    return { prompts: Object.keys(prompts).length > 0 ? prompts : undefined, faults };
  }
  for (const [column, text] of Object.entries(asked)) {
    const at = `prompts.${cut(column, 100)}`;
    if (!Object.hasOwn(promptColumns, column))
      fault(at, `is no column of texts; use ${columns.map(([each]) => each).join(', ')}`);
    else if (known !== undefined && likeName.test(text) && !Object.hasOwn(own, text))
      fault(
        at,
        `must be a prompt, which ends in a space or a colon, or a name of one of the base model's (${Object.keys(own).slice(0, 20).join(', ') || 'it has none'}), got ${show(text)}`,
      );
  }
  const texts = Object.entries(asked).map(([column, text]): [string, string] => [
    column,
    Object.hasOwn(own, text) ? own[text]! : text,
  ]);
  return { prompts: withTexts(texts), faults };
}

const withTexts = (prompts: readonly [string, string][]): Record<string, string> =>
  Object.fromEntries(prompts.filter(([, text]) => text !== ''));
