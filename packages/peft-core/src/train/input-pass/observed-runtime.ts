import { type tf, withControlDependency } from '@graft/tf-graph';
import type { ModelRuntime } from '../../models/architecture.ts';

/**
 * A runtime that passes the input `(N, in)` of each linear module in `modules` to `observe`, which returns the tensors that it computes from it.
 * A block's output is computed only after those of its modules, so that the inputs of one block are in memory at a time.
 */
export function observedRuntime(
  runtime: ModelRuntime,
  modules: ReadonlySet<string>,
  observe: (module: string, x: tf.Tensor) => tf.Tensor[],
): ModelRuntime {
  let computed: tf.Tensor[] = [];
  const look = (module: string, x: tf.Tensor) => {
    if (modules.has(module)) computed.push(...observe(module, x));
  };
  return {
    ...runtime,
    linear(module, x) {
      look(module, x);
      return runtime.linear(module, x);
    },
    linears(names, x) {
      for (const name of names) look(name, x);
      return runtime.linears(names, x);
    },
    block(path, x, body, others) {
      const y = runtime.block(path, x, body, others);
      const own = computed;
      computed = [];
      return withControlDependency(y, ...own);
    },
  };
}
