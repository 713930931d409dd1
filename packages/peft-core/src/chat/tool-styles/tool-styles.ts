import { bareJson } from './bare-json.ts';
import { braces } from './braces.ts';
import { channels } from './channels.ts';
import { listedJson } from './listed-json.ts';
import { pythonic } from './pythonic.ts';
import { taggedJson } from './tagged-json.ts';
import { taggedParameters } from './tagged-parameters.ts';
import { type ReasoningMarks, reasoningMarks } from './thinking.ts';
import type { ToolStyle } from './tool-style.ts';

/** Every tool style. A template may have the marks of several: the first counts. */
export const toolStyles: readonly ToolStyle[] = [
  channels,
  braces,
  taggedParameters,
  listedJson,
  pythonic,
  taggedJson,
  bareJson,
];

/** Marks of all answers: an adapter's own template may have another style than its base model's. */
export const answerMarks: readonly string[] = [
  ...new Set([
    ...toolStyles.flatMap(({ marks }) => marks),
    ...reasoningMarks.flatMap(({ open, close }) => [open, close]),
    '<|channel>',
  ]),
];

/** The form of a model's answers, as its chat template writes them. */
export interface AnswerForm {
  /** Source of the template; empty for a model without one. */
  template: string;
  /** Null: the template has no tool calls, or in an unknown form. */
  style: ToolStyle | null;
  /** Null: no reasoning, or the style's own. */
  reasoning: ReasoningMarks | null;
}

export function answerFormOf(template: string | null): AnswerForm {
  const source = template ?? '';
  const style = toolStyles.find((each) => each.isUsedBy(source)) ?? null;
  const reasoning = style?.always ? null : (reasoningMarks.find((each) => each.isUsedBy(source)) ?? null);
  return { template: source, style, reasoning };
}
