export const toolChoiceOption =
  'with --tools: auto (the default), none, required (at least one call), or the name of the tool to call';

const words = ['auto', 'none', 'required'] as const;
type Word = (typeof words)[number];

/** Value of `--tool-choice`: a word of the API, or the name of a tool. */
export const toolChoice = (text: string): Word | { name: string } =>
  words.find((word) => word === text) ?? { name: text };
