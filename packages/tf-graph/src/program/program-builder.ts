import { checkVariable, lookUp } from './checks.ts';
import { EagerProgram } from './eager-program.ts';
import { GraphProgram } from './graph-program.ts';
import type {
  CurrentRun,
  FullVariableSpec,
  FunctionOptions,
  InputSpecs,
  InputTensors,
  OutputTensors,
  Program,
  ProgramFunction,
  Variable,
  VariableSpec,
} from './program.ts';

/** Collects variables and functions; build() traces them to a TensorFlow graph, buildEager() runs the bodies directly. */
export class ProgramBuilder {
  readonly #variables = new Map<string, FullVariableSpec>();
  readonly #functions = new Map<string, ProgramFunction>();
  /** Number of variables and functions that the program already contains. */
  #done = { variables: 0, functions: 0 };
  readonly #current: CurrentRun = { variables: null };

  variable(spec: VariableSpec): Variable {
    if (this.#variables.has(spec.name)) throw new Error(`the program already has a variable "${spec.name}"`);
    checkVariable(spec);
    const full = { name: spec.name, shape: [...spec.shape], dtype: spec.dtype ?? 'float32' };
    this.#variables.set(spec.name, full);
    const current = this.#current;
    const live = (): Variable => {
      if (!current.variables)
        throw new Error(`variable "${spec.name}" is only usable inside a function of its program`);
      return lookUp(current.variables, 'variable', spec.name);
    };
    return {
      ...full,
      read: (options) => live().read(options),
      gather: (ids, options) => live().gather(ids, options),
      assign: (value) => live().assign(value),
      assignSlice: (begin, value) => live().assignSlice(begin, value),
      assignRows: (at, value) => live().assignRows(at, value),
      inPlace: (op, attrs, inputs) => live().inPlace(op, attrs, inputs),
    };
  }

  /** Declares a function; `body` receives a tensor for each of `inputs` and returns the outputs by name. */
  function<I extends InputSpecs, O extends OutputTensors>(
    name: string,
    inputs: I,
    body: (inputs: InputTensors<I>) => O,
    { inOneThread = false }: FunctionOptions = {},
  ): ProgramFunction<I, O> {
    if (this.#functions.has(name)) throw new Error(`the program already has a function "${name}"`);
    const declared = { name, inputs, body, inOneThread };
    this.#functions.set(name, declared);
    return declared;
  }

  /**
   * Traces every function into one graph, in a separate session. With `compiled`, XLA compiles the nodes at a function's first run, which
   * takes seconds to minutes: for functions that run often.
   */
  build({ compiled = false } = {}): Program {
    return this.#fill(new GraphProgram(this.#current, compiled));
  }

  /** Builds the same program in eager mode: each run calls the body on tfjs's `tensorflow` backend. */
  buildEager(): Program {
    return this.#fill(new EagerProgram(this.#current));
  }

  /**
   * Adds the declarations since the last `build` or `extend` to a program that this builder built. Its variables keep their values, and new
   * functions share them with the old ones.
   */
  extend(program: Program): void {
    const { variables, functions } = this.#done;
    this.#fill(program, variables, functions);
  }

  /** Returns a function that caches the result of `declare` for each key, and adds its declarations to `program` at the first call. */
  onDemand<K extends number[], F>(program: Program, declare: (...key: K) => F): (...key: K) => F {
    const made = new Map<string, F>();
    return (...key) => {
      const known = made.get(key.join());
      if (known !== undefined) return known;
      const declared = declare(...key);
      this.extend(program);
      made.set(key.join(), declared);
      return declared;
    };
  }

  #fill(program: Program, fromVariable = 0, fromFunction = 0): Program {
    const [variables, functions] = [[...this.#variables.values()], [...this.#functions.values()]];
    try {
      program.add(variables.slice(fromVariable), functions.slice(fromFunction));
    } catch (error) {
      // A program that is not complete yet has no other user.
      if (fromFunction + fromVariable === 0) program.close();
      throw error;
    }
    this.#done = { variables: variables.length, functions: functions.length };
    return program;
  }
}
