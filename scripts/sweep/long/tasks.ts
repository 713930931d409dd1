import { sha256 } from '../../../packages/peft-core/src/sha256.ts';
import { type DomMember, domDocumentation } from '../rows/dom-documentation.ts';

/** How many questions a scored task asks: two more or fewer right are within what seeds change. */
export const QUESTIONS = 60;

/** What a language model learns in long runs, in the order in which they are measured. No rule was set by one of them. */
export interface LongTask {
  about: string;
  /** Whether answers are counted; else the validation loss alone says how good a run is. */
  isScored: boolean;
  data(): { training: object[]; validation: object[] };
}

/** A prompt for a trained model, and the only right answer. */
export interface Question {
  prompt: string;
  answer: string;
}

export const longTasks: Record<string, LongTask> = {
  interfaces: {
    about: 'which browser interface a described member belongs to, of some 270',
    isScored: true,
    data: () => split(interfaceRows(), QUESTIONS),
  },
  reference: {
    about: 'continuation: reference documentation of browsers',
    isScored: false,
    data: () =>
      split(
        domDocumentation().map(({ text }) => ({ text })),
        100,
      ),
  },
};

/** Fewer members say too little of an interface. */
const FEWEST_MEMBERS = 4;

function interfaceRows() {
  const named = domDocumentation().filter((member) => member.text.includes(member.interface));
  const members = new Map<string, number>();
  for (const { interface: of } of named) members.set(of, (members.get(of) ?? 0) + 1);
  const rows = named.filter(({ interface: of }) => members.get(of)! >= FEWEST_MEMBERS).map(rowOf);
  // Without their names two members may be described alike.
  return [...new Map(rows.map((row) => [row.prompt, row])).values()];
}

const rowOf = ({ interface: of, name, text }: DomMember) => ({
  prompt: `${name}: ${text.replaceAll(of, '…')}\n→ `,
  completion: of,
});

function split(rows: object[], validation: number) {
  return { validation: rows.slice(0, validation), training: rows.slice(validation) };
}

/** Each validation row of a scored task, without its answer. */
export function questionsOf({ isScored, data }: LongTask): Question[] {
  if (!isScored) return [];
  return (data().validation as PromptRow[]).slice(0, QUESTIONS).map(({ prompt, completion }) => {
    return { prompt, answer: completion.trim() };
  });
}

interface PromptRow {
  prompt: string;
  completion: string;
}

/** Of a task's data: runs on other data say nothing of it. */
export function digestOf({ data }: LongTask): string {
  return sha256(JSON.stringify(data())).slice(0, 12);
}
