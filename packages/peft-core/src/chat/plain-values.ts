import type { TemplateMessage } from './template-input.ts';

/** Thrown if a template leaves the plain subset of Jinja; the interpreter then renders the conversation instead. */
export const NOT_PLAIN = new Error('not plain');

/** Maximum number of scopes in one another; the interpreter has an error message for more. */
const MAX_SCOPES = 100;

/** The messages of a conversation from number `start` on. */
export class MessageList {
  readonly all: readonly TemplateMessage[];
  readonly start: number;

  constructor(all: readonly TemplateMessage[], start: number) {
    this.all = all;
    this.start = start;
  }
}

export class Namespace {
  readonly values = new Map<string, Value>();
}

export class LoopState {
  index0 = 0;
  readonly length: number;
  /** True if the loop is over messages, so that its length cannot be known from a prefix of the conversation. */
  readonly overMessages: boolean;

  constructor(length: number, overMessages: boolean) {
    this.length = length;
    this.overMessages = overMessages;
  }
}

export class MessageValue {
  readonly fields: Readonly<Record<string, unknown>>;

  constructor(message: TemplateMessage) {
    this.fields = message;
  }
}

export type Value =
  | string
  | number
  | boolean
  | null
  | undefined
  | MessageList
  | MessageValue
  | Namespace
  | LoopState
  | readonly Value[];

export class Scope {
  readonly #values = new Map<string, Value>();
  readonly #parent: Scope | null;
  /** Number of scopes around. */
  readonly #level: number;

  constructor(parent: Scope | null) {
    this.#parent = parent;
    this.#level = parent ? parent.#level + 1 : 0;
    if (this.#level > MAX_SCOPES) throw NOT_PLAIN;
  }

  get(name: string): Value {
    return this.#values.has(name) ? this.#values.get(name) : this.#parent?.get(name);
  }

  set(name: string, value: Value): void {
    this.#values.set(name, value);
  }

  clear(): void {
    this.#values.clear();
  }
}
