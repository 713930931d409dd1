export interface RuntimeAnswer {
  status: number;
  /** Parsed JSON; null if the body is no JSON. */
  body: unknown;
  /** The runtime's message: only compared with known ones, and never shown, since it may contain anything. */
  message: string;
}

/** Sends a request to a runtime. Throws RuntimeFault. */
export type AskRuntime = (method: 'GET' | 'POST', path: string, body?: object) => Promise<RuntimeAnswer>;

export interface ListedAdapter {
  /** Value that requests use as `model`. */
  name: string;
  /** The path that it was loaded from; null for the base model and in runtimes that do not list it. */
  path: string | null;
}

/** How to load adapters into one kind of runtime while it runs. */
export interface Runtime {
  /** Also its key in `runtimesFor` of peft-core, which lists the runtimes that hold an adapter. */
  title: string;
  /** Lists base models and adapters. Throws RuntimeFault. */
  list(ask: AskRuntime): Promise<ListedAdapter[]>;
  /** Loads an adapter. Does nothing if the name is loaded already: `list` shows what it is. Throws RuntimeFault. */
  load(ask: AskRuntime, adapter: { name: string; path: string }): Promise<void>;
  /** Unloads an adapter. Does nothing if there is none of this name. Throws RuntimeFault. */
  unload(ask: AskRuntime, name: string): Promise<void>;
}

/**
 * Why a runtime has not done what was asked, as a message for its team that says what to do. `away`: it may answer later. `refused`: the
 * answer will be the same until somebody changes the runtime, the target or the adapter.
 */
export class RuntimeFault extends Error {
  override readonly name = 'RuntimeFault';
  readonly kind: 'away' | 'refused';

  /** `cause`: what only the operator sees. */
  constructor(kind: RuntimeFault['kind'], message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}
