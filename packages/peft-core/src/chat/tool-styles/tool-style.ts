/**
 * Terms. A *tool style* is the form in which a chat template writes an assistant's tool calls, and in which the model therefore writes
 * them. A *mark* is a fixed text of the style, often a special token. A *reader* turns an answer's text, as it arrives, into *pieces*:
 * content, reasoning and parts of calls. The *constraint* of a style is the form that an answer has if it must call a tool.
 */
import type { FieldForm, ValueForm } from '../../schema/answers/answer-grammar.ts';
import type { Tool } from '../message.ts';

/** A part of an answer. The pieces of one kind, joined in order, are the whole. */
export type AnswerPiece =
  | { content: string }
  | { reasoning: string }
  | {
      call: {
        /** Number of the call in the answer, from 0. */
        index: number;
        /** Only in the first piece of a call, whose `arguments` are empty. */
        id?: string;
        name?: string;
        /** The next part of the JSON text of an object. */
        arguments: string;
      };
    };

export interface AnswerReader {
  /** The pieces that this text completes. A text that may still become a mark is held back. */
  push(text: string): AnswerPiece[];
  /** The pieces of the text that was held back. */
  end(): AnswerPiece[];
  /** The answer has the calls that it may have, so it ends. */
  readonly isOver: boolean;
}

export type ConstraintFormat =
  | { type: 'const_string'; value: string }
  | { type: 'json_schema'; json_schema: JsonSchema }
  /** The fields of the object of a schema, in a form that is not JSON. */
  | { type: 'fields'; json_schema: JsonSchema; fields: FieldForm; values: ValueForm }
  | { type: 'sequence' | 'or'; elements: ConstraintFormat[] }
  | TagFormat
  | {
      /** One of the tags or, with `several`, one after another. */
      type: 'calls';
      tags: TagFormat[];
      separator: string;
      several: boolean;
    };

export interface TagFormat {
  type: 'tag';
  begin: string;
  content: ConstraintFormat;
  end: string;
}

export type JsonSchema = boolean | Readonly<Record<string, unknown>>;

/** Limits of the calls in an answer. */
export interface CallOptions {
  tools: readonly Tool[];
  /** True if the answer may have several calls. */
  parallel: boolean;
}

export interface ToolStyle {
  name: string;
  /** Returns true if a chat template, given as its source, writes calls in this style. */
  isUsedBy(template: string): boolean;
  /** Marks that may be special tokens, which are otherwise not part of an answer's text. */
  marks: readonly string[];
  /** Marks that end an answer. */
  ends?: readonly string[];
  /** Marks that end a turn in the template, but not an answer. */
  continues?: readonly string[];
  /** Length of a call's id if the template accepts only one, without a prefix. */
  idLength?: number;
  /** True if answers have this form even without tools. */
  always?: boolean;
  /** Reads an answer to a conversation with these tools. `template`: its source. */
  reader(tools: readonly Tool[], out: PieceSink, template: string): TextReader;
  /** The form of an answer that calls at least one tool. `template`: its source. */
  constraint(options: CallOptions, template: string): ConstraintFormat;
  /** Marks around reasoning in this style, and what is between the second one and the rest of the answer. */
  reasoning?: { open: string; close: string; next: string };
  /** The form around content that is constrained; absent: nothing. */
  contentTag?: { begin: string; end: string };
}

export interface TextReader {
  push(text: string): void;
  end(): void;
}

export interface PieceSink {
  content(text: string): void;
  reasoning(text: string): void;
  /** Calls are held until they end. Otherwise they are sent as they arrive: the answer's grammar allows no malformed ones. */
  readonly holds: boolean;
  startCall(name: string): void;
  addArguments(text: string): void;
  /** The calls since the last end are complete. */
  endCall(): void;
  /** The calls since the last end are none; false if their parts were sent. */
  dropCall(): boolean;
}

/** Signs of tools' names, for patterns. */
export const NAME_SIGNS = '[\\w.:/-]';

export function parametersOf({ function: { parameters } }: Tool): Record<string, unknown> {
  if (parameters && Object.keys(parameters).length > 0) return { type: 'object', ...parameters };
  return { type: 'object', properties: {}, additionalProperties: false };
}

/** One tag for each tool; `form` returns what is before and after the tool's arguments. */
export function callTags(
  { tools }: CallOptions,
  form: (name: string) => { begin: string; end: string },
  contentOf: (schema: Record<string, unknown>) => ConstraintFormat = (json_schema) => ({
    type: 'json_schema',
    json_schema,
  }),
): TagFormat[] {
  return tools.map((tool) => {
    const { begin, end } = form(tool.function.name);
    return { type: 'tag', begin, content: contentOf(parametersOf(tool)), end };
  });
}
