import type { TaskType } from '../../outlines/outline.ts';
import type { TrainingExample } from '../training-example.ts';
import type { Label, Line } from './fields.ts';
import type { Reading } from './reading.ts';

/** An example before it gets its line number. */
export type Tokenized = Omit<TrainingExample, 'line'>;

/** The negatives of an anchor without a `negative`: other pairs of its batch; or none, if a batch is one pair. */
export type Contrast = 'batch' | 'negatives';

/** Checks the examples of a training file as a whole, adding them one by one. */
export interface FileCheck {
  add(example: Pick<TrainingExample, 'sequences'>): void;
  /** Throws GraftError if nothing can be learned from the examples. */
  check(contrast: Contrast): void;
}

/**
 * A format of training data. `formats.ts` lists all; everything that depends on a line's format is defined here. `Fields`: the checked
 * content of a line.
 */
export interface DatasetFormat<Name extends string = string, Fields extends object = object> {
  /** The format's name in files, reports and errors. */
  name: Name;
  /** Describes a line, in lists to choose from: "a text with its class". */
  title: string;
  /** The fields of a line, as shown in errors: `{"text", "label"}`. */
  fields: string;
  /** The same for errors about lines of no known format. Formats with the same `called` are variants: the last match applies to a line. */
  called: string;
  /** Example of a line. */
  sample: string;
  /** Tasks that can train on it, the usual one first. */
  tasks: readonly [TaskType, ...TaskType[]];
  /** Meaning of a sequence's `targets`: tokens that the model learns to generate, or classes of the sequence's own tokens. */
  targets: 'tokens' | 'classes' | 'none';
  /** Its sequences have `roles` if they are requested. Default false. */
  hasRoles?: boolean;
  /** A text longer than `max_seq_length` is split into several examples. Default false. */
  splitsTexts?: boolean;

  /** Its examples compare two completions of one prompt. Default false. */
  isPair?: boolean;

  /** Every column that a line may have; others are not read. */
  columns: readonly string[];
  /** Those of them that a line has and that are not read. Default none. */
  unread?(line: Line): string[];
  /** Returns true if a line has fields of the format, complete or not. */
  matches(line: Line): boolean;
  /** The checked fields of a line, or all its faults in one sentence. */
  read(line: Line): Fields | string;
  /** The line's examples: one, or several if a text is split. Throws as `Reading` does. */
  tokenize(fields: Fields, reading: Reading): Tokenized[];
  /**
   * The prompt of an example, which identifies duplicates and determines what validation data is held out. For an example without a
   * prompt, such as a chat without a question, its whole content.
   */
  prompt(fields: Fields): string;
  /** Number of characters that a language model is trained to generate. Default 0. */
  answerLength?(fields: Fields): number;
  /** Texts whose special tokens are treated as plain text by default. Default none. */
  plainTexts?(fields: Fields): string[];
  /**
   * Numbers of the messages whose reasoning the chat template leaves out of one of the line's `count` examples, that of this `index`. Default
   * none.
   */
  droppedReasoning?(
    fields: Fields,
    reading: Pick<Reading, 'tokenizer' | 'options'>,
    example: { index: number; count: number },
  ): number[];
  /** The system message at the start of the example. */
  systemPrompt?(fields: Fields): string | null;
  /** Labels that need a class. Default none. */
  labels?(fields: Fields): Label[];
  /** The label of the whole text, as shown in a preview. */
  shownLabel?(fields: Fields): string;
  /** Returns true if the line's completion is desirable. Default: completions are not judged. */
  isDesirable?(fields: Fields): boolean;
  /** Creates the check of a training file as a whole. Default: lines are only checked one by one. */
  fileCheck?(): FileCheck;
}
