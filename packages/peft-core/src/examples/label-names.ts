import { GraftError } from '../errors.ts';
import type { Label } from './formats/fields.ts';
import { formatOf, type RawExample } from './formats/formats.ts';
import type { ClassOf } from './formats/reading.ts';

/** No data set has more classes. A label with a larger number is an id, not a class. */
const MAX_CLASSES = 10_000;
/** Maximum length of a class's name, which each answer of the classifier repeats. */
const MAX_NAME = 512;

/** Collects the labels of a training file's examples: a new head has one class for each. */
export class LabelCollector {
  #tooLong: { line: number; length: number } | null = null;
  readonly #names = new Set<string>();
  #largest = -1;
  /** Line numbers of the first label that is a name, and of the first that is a number. */
  #first: { name?: number; number?: number } = {};

  add(example: RawExample): void {
    for (const label of formatOf(example.format).labels?.(example) ?? []) this.#add(label, example.line);
  }

  #add(label: Label, line: number): void {
    if (typeof label === 'string') {
      this.#first.name ??= line;
      if (label.length > MAX_NAME) this.#tooLong ??= { line, length: label.length };
      // One too many is enough for the error, however many there are.
      else if (this.#names.size <= MAX_CLASSES) this.#names.add(label);
    } else {
      this.#first.number ??= line;
      this.#largest = Math.max(this.#largest, label);
    }
  }

  /** Names of the classes: those of the existing head (`own`) if it has every label; else those of the data. */
  namesFor(own: readonly string[] | null): readonly string[] {
    return own && this.#fit(own) ? own : this.names();
  }

  #fit(names: readonly string[]): boolean {
    return this.#largest < names.length && [...this.#names].every((name) => names.includes(name));
  }

  /**
   * Names of the classes, in order: sorted, so that the order of lines does not matter; or, for labels that are already numbers,
   * transformers' LABEL_0, LABEL_1, …. Throws `invalid_labels`.
   */
  names(): string[] {
    if (this.#tooLong)
      throw invalid(
        `line ${this.#tooLong.line} has a label of ${this.#tooLong.length} characters; ${MAX_NAME} at most`,
      );
    const { name, number } = this.#first;
    if (name !== undefined && number !== undefined)
      throw invalid(
        `labels are all names or all numbers: line ${name} has a name and line ${number} a number`,
      );
    if (this.#largest >= MAX_CLASSES)
      throw invalid(
        `a label is ${this.#largest}: numbers count the classes from 0, ${MAX_CLASSES} at most; write names as strings`,
      );
    const names =
      number === undefined
        ? [...this.#names].sort()
        : Array.from({ length: this.#largest + 1 }, (_, i) => `LABEL_${i}`);
    if (names.length > MAX_CLASSES) throw invalid(`there are more than ${MAX_CLASSES} different labels`);
    if (names.length < 2) throw invalid('all examples have the same label; a classifier needs at least two');
    return names;
  }
}

export function classesBy(names: readonly string[]): ClassOf {
  const byName = new Map(names.map((name, i) => [name, i]));
  return (label) =>
    typeof label === 'string' ? (byName.get(label) ?? null) : label < names.length ? label : null;
}

function invalid(message: string): GraftError {
  return new GraftError('invalid_labels', message, { param: 'training_file' });
}
