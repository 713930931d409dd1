// A program as one TensorFlow graph in one session.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { attr } from './attributes.ts';
import { toBfloat16 } from './bfloat16.ts';
import { checkFeeds, checkValue, lookUp } from './checks.ts';
import { collectGarbage } from './collect-garbage.ts';
import { type CurrentRun, callBody } from './current-run.ts';
import { bytesOf, codeOf, type DType, sizeOf, type TypedArray, visibleOf } from './dtypes.ts';
import { Graph } from './graph.ts';
import { GraphVariable } from './graph-variable.ts';
import { createHostTensor, HostStaging } from './host-tensor.ts';
import type { FullVariableSpec, FunctionSpec, Program, RunOutput } from './program.ts';
import { cast, storageOf } from './raw-op.ts';
import { servingTag, writeSavedModel } from './saved-model.ts';
import { symbolicBackend } from './symbolic-backend.ts';
import { binding, type TensorMetadata, tf } from './tensorflow.ts';

interface TracedFunction {
  spec: FunctionSpec;
  /** Comma-separated "node:0" lists, as the binding takes them. */
  feeds: string;
  fetches: string;
  outputs: string[];
  reads: string[];
  assigns: string[];
}

/** Values are handed to the session in groups of about this many bytes: each distinct set costs one graph optimization. */
const groupBytes = 64 << 20;

export class GraphProgram implements Program {
  readonly #variables: Map<string, GraphVariable>;
  readonly #functions = new Map<string, TracedFunction>();
  readonly #written = new Set<string>();
  #session: number | null = null;

  constructor(variables: FullVariableSpec[], functions: FunctionSpec[], current: CurrentRun) {
    const graph = new Graph();
    this.#variables = new Map(variables.map((spec, i) => [spec.name, new GraphVariable(graph, spec, i)]));
    for (const spec of functions) this.#functions.set(spec.name, this.#trace(graph, spec, current));
    this.#session = load(graph);
  }

  #trace(graph: Graph, spec: FunctionSpec, current: CurrentRun): TracedFunction {
    const variables = [...this.#variables.values()];
    return symbolicBackend.trace(graph, () =>
      graph.within(spec.name, () => {
        tf.engine().startScope(spec.name);
        try {
          for (const variable of variables) variable.begin();
          const feeds: string[] = [];
          const inputs = Object.entries(spec.inputs).map(([name, { shape, dtype }]) => {
            const ref = `${graph.node('Placeholder', [], [attr.type('dtype', dtype), attr.shape('shape', [...shape])], `in/${name}`)}:0`;
            feeds.push(ref);
            return [name, symbolicBackend.tensor({ ref, shape: [...shape], dtype })] as const;
          });
          const results = Object.entries(
            callBody(current, this.#variables, spec, Object.fromEntries(inputs)),
          );
          const commits = variables.flatMap((variable) => variable.commit());
          const fetches = results.map(([name, value]) => outputNode(graph, name, value, commits));
          if (fetches.length === 0) fetches.push(doneNode(graph, 'done', commits));
          return {
            spec,
            feeds: feeds.join(),
            fetches: fetches.join(),
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
    let group = new Map<GraphVariable, number>();
    let bytes = 0;
    let total = 0;
    const staging = new HostStaging();
    const flush = () => {
      const variables = [...group.keys()];
      const ids = [...group.values()];
      group = new Map();
      bytes = 0;
      if (ids.length === 0) return;
      this.#runSession(
        ids,
        variables.map(({ writeFeed }) => writeFeed).join(),
        variables.map(({ writeDone }) => writeDone).join(),
        () => null,
      );
      for (const { name } of variables) this.#written.add(name);
    };
    try {
      for await (const [name, data] of values) {
        const variable = lookUp(this.#variables, 'variable', name);
        checkValue(variable, data);
        if (group.has(variable)) flush();
        group.set(variable, variable.feedTensor(data, staging));
        bytes += sizeOf(variable.shape) * bytesOf(variable.dtype);
        total += data.byteLength;
        if (bytes >= groupBytes) flush();
      }
      flush();
    } finally {
      for (const id of group.values()) binding.deleteTensor(id);
    }
    if (total < groupBytes) return;
    await new Promise((resolve) => setImmediate(resolve)); // the source's last array is still on a stack before that
    collectGarbage();
  }

  read(names: string[]): Map<string, Float32Array | Int32Array | Uint16Array | Uint8Array> {
    const variables = names.map((name) => lookUp(this.#variables, 'variable', name));
    for (const { name } of variables) this.#needValue(name, 'read');
    if (names.length === 0) return new Map();
    const arrays = this.#runSession([], '', variables.map(({ readFetch }) => readFetch).join(), ({ id }) =>
      binding.tensorDataSync(id),
    );
    return new Map(
      variables.map((variable, i) => [variable.name, asStored(variable.dtype, arrays[i] as Float32Array)]),
    );
  }

  run(name: string, feeds: Record<string, TypedArray>): Record<string, RunOutput> {
    const traced = lookUp(this.#functions, 'function', name);
    checkFeeds(traced.spec, feeds);
    for (const variable of traced.reads) this.#needValue(variable, `function "${name}"`);
    const ids = Object.entries(traced.spec.inputs).map(([input, { shape, dtype }]) =>
      createHostTensor(dtype, shape, feeds[input] as TypedArray),
    );
    const outputs = this.#runSession(ids, traced.feeds, traced.fetches, ({ id, shape }) => ({
      shape,
      data: binding.tensorDataSync(id),
    }));
    for (const variable of traced.assigns) this.#written.add(variable);
    return Object.fromEntries(traced.outputs.map((output, i) => [output, outputs[i] as RunOutput]));
  }

  close(): void {
    if (this.#session !== null) binding.deleteSavedModel(this.#session);
    this.#session = null;
  }

  #needValue(variable: string, reader: string): void {
    if (!this.#written.has(variable))
      throw new Error(`${reader} needs variable "${variable}", which has no value yet: write it first`);
  }

  /** One session run; frees the tensors fed and those fetched. */
  #runSession<T>(
    feedIds: number[],
    feeds: string,
    fetches: string,
    take: (output: TensorMetadata) => T,
  ): T[] {
    let outputs: TensorMetadata[] = [];
    try {
      if (this.#session === null) throw new Error('the program is closed');
      outputs = binding.runSavedModel(this.#session, feedIds, feeds, fetches);
      return outputs.map(take);
    } finally {
      for (const id of feedIds) binding.deleteTensor(id);
      for (const { id } of outputs) binding.deleteTensor(id);
    }
  }
}

/** Outputs wait for every assignment. Types that the binding cannot hand over are widened. */
function outputNode(graph: Graph, name: string, value: tf.Tensor, commits: string[]): string {
  const stored = storageOf(value);
  const dtype = visibleOf(stored);
  const ref = symbolicBackend.ref(cast(value, dtype));
  return `${graph.node('Identity', [ref, ...commits], [attr.type('T', dtype)], `out/${name}`)}:0`;
}
/** A scalar that exists once `after` have run. */
function doneNode(graph: Graph, name: string, after: string[]): string {
  const zero = { dtype: codeOf('int32'), shape: [], content: new Uint8Array(4) };
  return `${graph.node('Const', after, [attr.type('dtype', 'int32'), { name: 'value', tensor: zero }], name)}:0`;
}

function load(graph: Graph): number {
  const folder = mkdtempSync(join(tmpdir(), 'graft-program-'));
  try {
    writeSavedModel(folder, graph.nodes);
    return binding.loadSavedModel(folder, servingTag);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function asStored(dtype: DType, values: Float32Array | Int32Array | Uint8Array) {
  if (dtype === 'bfloat16') return toBfloat16(values as Float32Array);
  if (dtype === 'uint8') return Uint8Array.from(values);
  return values;
}
