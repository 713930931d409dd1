import { hang, nestedGrads, type ProgramBuilder, tf, type Variable } from '@graft/tf-graph';
import { AdapterLayout } from './adapter-layout.ts';
import type { PeftConfig } from './config.ts';
import type { Architecture, ModelRuntime } from './models/architecture.ts';
import type { RandomState } from './nn/dropout.ts';
import { embedding } from './nn/embedding.ts';
import { linear } from './nn/linear.ts';
import { rmsNorm } from './nn/rms-norm.ts';
import { type Weight, weightValue } from './nn/weight.ts';
import { tunerFor } from './tuners/registry.ts';
import type { Attachment } from './tuners/tuner.ts';

/** A base model's frozen weights as variables of a program, and the adapter's parameters as one flat variable `adapter`. */
export interface PeftModel {
  architecture: Architecture;
  attachment: Attachment | null;
  layout: AdapterLayout;
  /** null when there is nothing to train: the plain base model. */
  adapter: Variable | null;
  /** The model's own forward pass over `attend`, with adapter parameters taken from `parameters`. */
  runtime(options: RuntimeOptions): ModelRuntime;
  /** A weight as the model uses it: trained stand-in, alias or frozen; null when the model has none of that name. */
  weight(name: string, parameters: ParameterTensors): Weight | null;
  /** True when a tuner wraps this linear module. */
  wraps(module: string): boolean;
}

export type ParameterTensors = Map<string, tf.Tensor>;

export interface RuntimeOptions {
  parameters: ParameterTensors;
  attend: ModelRuntime['attend'];
  random?: RandomState;
  /** Collects the constants that the caller disposes when it has its gradients; without it nothing is kept. */
  constants?: tf.Tensor[];
  /** Keep only each block's input for the backward pass. */
  checkpointing?: boolean;
}

/**
 * Declares base weights in `builder` (stored as `storage`, norms and biases always in float32) and attaches the adapter.
 * The declared variables still have to be written: see `load-weights.ts`.
 */
export function declarePeftModel(
  builder: ProgramBuilder,
  architecture: Architecture,
  peft: PeftConfig | null,
  storage: 'float32' | 'bfloat16',
): PeftModel {
  const attachment = peft ? tunerFor(peft).attach(peft, architecture) : null;
  const layout = new AdapterLayout(attachment?.parameters ?? []);
  const variables = new Map<string, Variable>();
  for (const { name, shape } of architecture.parameters) {
    variables.set(name, builder.variable({ name, shape, dtype: shape.length > 1 ? storage : 'float32' }));
  }
  const adapter = layout.size > 0 ? builder.variable({ name: 'adapter', shape: [layout.size] }) : null;

  const weight: PeftModel['weight'] = (name, parameters) => {
    const standIn = attachment?.replacements.get(name);
    if (standIn !== undefined) return { kind: 'trained', tensor: parameters.get(standIn)! };
    const variable = variables.get(architecture.aliases[name] ?? name);
    return variable ? { kind: 'frozen', variable } : null;
  };

  function runtime({
    parameters: given,
    attend,
    random,
    constants,
    checkpointing = false,
  }: RuntimeOptions): ModelRuntime {
    let parameters = given;
    const required = (name: string): Weight => {
      const found = weight(name, parameters);
      if (!found) throw new Error(`the model has no parameter ${name}`);
      return found;
    };
    const context = { parameter: (name: string) => parameters.get(name)!, ...(random ? { random } : {}) };
    return {
      attend,
      linear(module, x) {
        const base = linear(
          x,
          required(`${module}.weight`),
          weight(`${module}.bias`, parameters) ?? undefined,
        );
        const wrapper = attachment?.linears.get(module);
        return wrapper ? wrapper(context, x, base) : base;
      },
      embedding: (module, ids) => embedding(ids, required(`${module}.weight`)),
      rmsNorm: (module, x, epsilon) => rmsNorm(x, weightValue(required(`${module}.weight`)), epsilon),
      constant(x) {
        if (!constants) return x;
        constants.push(tf.keep(x));
        return x;
      },
      block(path, x, body) {
        if (!checkpointing) return body(x);
        const names = [...parameters.keys()].filter((name) => name.startsWith(`${path}.`));
        const stream = random?.stream;
        const run = (x: tf.Tensor, ...own: tf.Tensor[]) => {
          const outer = parameters;
          parameters = new Map([...outer, ...names.map((name, i) => [name, own[i]!] as const)]);
          if (random) random.stream = stream!;
          try {
            return body(x);
          } finally {
            parameters = outer;
          }
        };
        return checkpointed(run, [x, ...names.map((name) => parameters.get(name)!)]);
      },
    };
  }
  return {
    architecture,
    attachment,
    layout,
    adapter,
    runtime,
    weight,
    wraps: (module) => attachment?.linears.has(module) ?? false,
  };
}

/** The adapter's parameters as tensors, cut from the flat variable; empty for the plain base model. */
export function adapterTensors(model: PeftModel): ParameterTensors {
  return model.adapter ? model.layout.split(model.adapter.read()) : new Map();
}

/** `run(inputs)`, of which only the inputs are kept: the gradient runs it again, no earlier than its own gradient arrives. */
function checkpointed(run: (...inputs: tf.Tensor[]) => tf.Tensor, inputs: tf.Tensor[]): tf.Tensor {
  return tf.customGrad((...args) => {
    const save = args.pop() as tf.GradSaveFunc;
    const tensors = args as tf.Tensor[];
    save(tensors);
    return {
      value: run(...tensors),
      gradFunc: (dy, saved) => {
        const [x, ...own] = saved as tf.Tensor[];
        return nestedGrads(run)([hang(x!, dy as tf.Tensor), ...own], dy as tf.Tensor);
      },
    };
  })(...inputs);
}
