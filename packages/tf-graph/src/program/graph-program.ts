// A program as one TensorFlow graph in one session.
import { bytesOf, type DType, sizeOf, type TypedArray, visibleOf } from '../dtypes.ts';
import { attr } from '../graph/attributes.ts';
import { Graph } from '../graph/graph.ts';
import { createFeed, deleteFeed, type Feed, GraphSession, openFeed } from '../graph/graph-session.ts';
import { cast, storageOf } from '../ops/raw-op.ts';
import { symbolicBackend } from '../ops/symbolic-backend.ts';
import { chooseStandIn } from '../ops/varying-size.ts';
import { tf } from '../tensorflow.ts';
import { checkFeeds, checkValue, lookUp } from './checks.ts';
import { GraphVariable } from './graph-variable.ts';
import {
  type CurrentRun,
  callBody,
  type Feeds,
  type Filling,
  type FullVariableSpec,
  type InputSpecs,
  type OutputTensors,
  type Program,
  type ProgramFunction,
  presentIn,
  type RunOptions,
  type RunOutput,
  type RunOutputs,
} from './program.ts';

interface TracedFunction {
  fn: ProgramFunction;
  /** Each "node:0". */
  feeds: string[];
  fetches: string[];
  outputs: string[];
  reads: string[];
  assigns: string[];
}

/** Values are passed to the session in groups of about this many bytes: each distinct set costs one graph optimization. */
const groupBytes = 128 << 20;

export class GraphProgram implements Program {
  readonly #session = new GraphSession();
  readonly #graph: Graph;
  readonly #variables = new Map<string, GraphVariable>();
  readonly #functions = new Map<string, TracedFunction>();
  readonly #written = new Set<string>();
  readonly #current: CurrentRun;

  constructor(current: CurrentRun, compiled: boolean) {
    this.#current = current;
    this.#graph = new Graph(this.#session, compiled);
  }

  add(variables: readonly FullVariableSpec[], functions: readonly ProgramFunction[]): void {
    for (const spec of variables)
      this.#variables.set(spec.name, new GraphVariable(this.#graph, spec, this.#variables.size));
    const traced = functions.map((fn) => [fn.name, this.#trace(this.#graph, fn, this.#current)] as const);
    for (const [name, one] of traced) this.#functions.set(name, one);
  }

  #trace(graph: Graph, fn: ProgramFunction, current: CurrentRun): TracedFunction {
    const variables = [...this.#variables.values()];
    const inputSpecs = presentIn(fn.inputs).map(([, spec]) => spec);
    const sizes = [...variables, ...inputSpecs.filter(({ varies }) => !varies)].flatMap(({ shape }) => shape);
    const standIn = inputSpecs.some(({ varies }) => varies) ? chooseStandIn(sizes) : null;
    return symbolicBackend.trace(graph, standIn, () =>
      graph.within(fn.name, () => {
        tf.engine().startScope(fn.name);
        try {
          for (const variable of variables) variable.begin();
          const feeds: string[] = [];
          const inputs = presentIn(fn.inputs).map(([name, { shape, dtype, varies }]) => {
            const sizes = varies ? [-1, ...shape.slice(1)] : [...shape];
            const attrs = [attr.type('dtype', dtype), attr.shape('shape', sizes)];
            const node = graph.node('Placeholder', [], attrs, `in/${name}`);
            feeds.push(`${node.name}:0`);
            return [name, symbolicBackend.tensors(node)[0]!] as const;
          });
          const results = presentIn(callBody(current, this.#variables, fn, Object.fromEntries(inputs)));
          const commits = variables.flatMap((variable) => variable.commit());
          const fetches = results.map(([name, value]) => outputNode(graph, name, value, commits));
          if (fetches.length === 0) fetches.push(graph.done(commits, 'done'));
          graph.endFunction(fn.name, feeds, fetches);
          return {
            fn,
            feeds,
            fetches,
            outputs: results.map(([name]) => name),
            reads: variables.filter((variable) => variable.wasRead).map(({ name }) => name),
            assigns: variables.filter((variable) => variable.wasAssigned).map(({ name }) => name),
          };
        } finally {
          tf.engine().endScope();
        }
      }),
    );
  }

  async write(values: Iterable<[string, TypedArray]> | AsyncIterable<[string, TypedArray]>): Promise<void> {
    await this.#set(async (set) => {
      for await (const [name, data] of values) {
        const variable = lookUp(this.#variables, 'variable', name);
        checkValue(variable, data);
        set(variable, variable.feed(data));
      }
    });
  }

  async fill(fillings: Iterable<Filling> | AsyncIterable<Filling>): Promise<void> {
    await this.#set(async (set) => {
      for await (const filling of fillings) {
        const variables = filling.names.map((name) => lookUp(this.#variables, 'variable', name));
        const opened = variables.map(({ dtype, shape }) => openFeed(dtype, shape));
        let isWritten = false;
        try {
          await filling.write?.(opened.map(({ values }) => values));
          isWritten = true;
        } finally {
          for (const { feed, seal } of opened) {
            seal();
            if (!isWritten) deleteFeed(feed);
          }
        }
        for (const [i, { feed }] of opened.entries()) set(variables[i]!, feed);
      }
    });
  }

  /** Calls `body` with a function that sets a variable to a feed, in groups. */
  async #set(body: (set: (variable: GraphVariable, feed: Feed) => void) => Promise<void>): Promise<void> {
    let group = new Map<GraphVariable, Feed>();
    let bytes = 0;
    const flush = () => {
      const feeds = [...group];
      group = new Map();
      bytes = 0;
      if (feeds.length === 0) return;
      this.#session.run(
        feeds.map(([{ writeFeed }, feed]) => [writeFeed, feed]),
        feeds.map(([{ writeDone }]) => writeDone),
      );
      for (const [{ name }] of feeds) this.#written.add(name);
    };
    try {
      await body((variable, feed) => {
        if (group.has(variable)) flush();
        group.set(variable, feed);
        bytes += sizeOf(variable.shape) * bytesOf(variable.dtype);
        if (bytes >= groupBytes) flush();
      });
      flush();
    } finally {
      for (const feed of group.values()) deleteFeed(feed);
    }
  }

  read(names: string[]): ReturnType<Program['read']> {
    const variables = names.map((name) => lookUp(this.#variables, 'variable', name));
    for (const { name } of variables) this.#needValue(name, 'read');
    if (names.length === 0) return new Map();
    const values = this.#session.run(
      [],
      variables.map(({ readFetch }) => readFetch),
    );
    return new Map(variables.map(({ name }, i) => [name, values[i]!.data]));
  }

  async prepare({ name }: ProgramFunction): Promise<void> {
    const traced = lookUp(this.#functions, 'function', name);
    if (traced.reads.every((variable) => this.#written.has(variable)))
      throw new Error(`function "${name}" would run: all that it reads has values`);
    const feeds = presentIn(traced.fn.inputs).map(([, { shape, dtype, varies }], i) => {
      const sizes = varies ? [1, ...shape.slice(1)] : shape;
      return [traced.feeds[i]!, createFeed(dtype, sizes, zerosOf(dtype, sizeOf(sizes)))] as const;
    });
    // The run fails at the first variable without a value. Other errors occur again when the function runs.
    await this.#session.prepare(feeds, traced.fetches);
  }

  run<I extends InputSpecs, O extends OutputTensors>(
    { name }: ProgramFunction<I, O>,
    feeds: Feeds<I>,
    { into }: RunOptions = {},
  ): RunOutputs<O> {
    const traced = lookUp(this.#functions, 'function', name);
    const given = checkFeeds(traced.fn, feeds);
    for (const variable of traced.reads) this.#needValue(variable, `function "${name}"`);
    const inputs = given.map(
      ({ input, data }, i) => [traced.feeds[i]!, createFeed(input.dtype, input.shape, data)] as const,
    );
    const outputs = this.#session.run(inputs, traced.fetches, {
      inOneThread: traced.fn.inOneThread ?? false,
      into,
    });
    for (const variable of traced.assigns) this.#written.add(variable);
    const named = traced.outputs.map((output, i) => [output, outputs[i] as RunOutput]);
    return Object.fromEntries(named) as RunOutputs<O>;
  }

  close(): void {
    this.#session.close();
  }

  #needValue(variable: string, reader: string): void {
    if (!this.#written.has(variable))
      throw new Error(`${reader} needs variable "${variable}", which has no value yet: write it first`);
  }
}

const zerosOf = (dtype: DType, count: number) =>
  dtype === 'float32' ? new Float32Array(count) : new Int32Array(count);

/** Adds an output, which waits for every assignment and has a type that tfjs knows. */
function outputNode(graph: Graph, name: string, value: tf.Tensor, commits: string[]): string {
  const stored = storageOf(value);
  const dtype = visibleOf(stored);
  const ref = symbolicBackend.ref(cast(value, dtype));
  return `${graph.node('Identity', [ref, ...commits], [attr.type('T', dtype)], `out/${name}`).name}:0`;
}
