import type { TaskType } from '../../outlines/outline.ts';
import type { TrainingExample } from '../training-example.ts';
import type { Label, Line } from './fields.ts';
import type { Reading } from './reading.ts';

/** An example before it has the number of its line. */
export type Tokenized = Omit<TrainingExample, 'line'>;

/** What an anchor without a negative is compared with: other pairs of its batch; nothing, where a batch is one pair. */
export type Contrast = 'batch' | 'negatives';

/** Checks the examples of a training file together, one by one. */
export interface FileCheck {
  add(example: Pick<TrainingExample, 'sequences'>): void;
  /** Throws GraftError where the examples teach nothing. */
  check(contrast: Contrast): void;
}

/**
 * A format of training data. `formats.ts` lists all; whatever depends on the format of a line asks the format. `Fields`: what is kept
 * of a checked line.
 */
export interface DatasetFormat<Name extends string = string, Fields extends object = object> {
  /** As files, reports and errors name the format. */
  name: Name;
  /** What a line is, for a list that people choose from: "a text with its class". */
  title: string;
  /** Fields of a line, as errors name them: `{"text", "label"}`. */
  fields: string;
  /** The same in the sentence on lines of no format. Formats with the same `called` are variants: a line is of the last one it matches. */
  called: string;
  /** A line of a file. */
  sample: string;
  /** Tasks that learn from it, the usual one first. */
  tasks: readonly [TaskType, ...TaskType[]];
  /** What the `targets` of a sequence are: tokens that the model learns to write, or classes of the sequence's own tokens. */
  targets: 'tokens' | 'classes' | 'none';
  /** A text longer than `max_seq_length` becomes several examples. Default false. */
  splitsTexts?: boolean;

  /** Whether a line has fields of the format, complete or not. */
  matches(line: Line): boolean;
  /** The checked fields of a line, or every fault of it in one sentence. */
  read(line: Line): Fields | string;
  /** The line's examples: one, or several of a text that is split. Throws what `Reading` throws. */
  tokenize(fields: Fields, reading: Reading): Tokenized[];
  /**
   * What an example asks, by which duplicates are found and validation data is held out. Where it asks nothing, such as a chat without a
   * question, all of its content.
   */
  prompt(fields: Fields): string;
  /** Characters of what a language model learns to write. Default 0. */
  answerLength?(fields: Fields): number;
  /** Texts whose special tokens are plain text by default. Default none. */
  plainTexts?(fields: Fields): string[];
  /** The system message that the example begins with. */
  systemPrompt?(fields: Fields): string | null;
  /** Labels that need a class. Default none. */
  labels?(fields: Fields): Label[];
  /** The label of the whole text, as a preview shows it. */
  shownLabel?(fields: Fields): string;
  /** Opens the check of a training file as a whole. Default: lines are checked one by one. */
  fileCheck?(): FileCheck;
}
