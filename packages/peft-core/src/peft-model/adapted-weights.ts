import type { tf } from '@graft/tf-graph';
import type { Architecture } from '../models/architecture.ts';
import type { FrozenWeight, Weight } from '../nn/weight.ts';
import type { Attachment, LayerContext } from '../tuners/tuner.ts';

export type ParameterTensors = Map<string, tf.Tensor>;

/** A base model's weights with an adapter's replacements, and the storage properties of its modules. */
export class AdaptedWeights {
  readonly attachment: Attachment | null;
  readonly #frozen: ReadonlyMap<string, FrozenWeight>;
  readonly #aliases: Architecture['aliases'];
  readonly #paddings: Map<string, number | undefined>;
  readonly #transposed: Set<string>;
  readonly #input: { module: string; factor: number };

  constructor(
    architecture: Architecture,
    frozen: ReadonlyMap<string, FrozenWeight>,
    attachment: Attachment | null,
  ) {
    this.attachment = attachment;
    this.#frozen = frozen;
    this.#aliases = architecture.aliases;
    this.#paddings = new Map(architecture.modules.map(({ name, padding }) => [name, padding]));
    this.#transposed = new Set(architecture.modules.filter((m) => m.transposed).map((m) => m.name));
    this.#input = { module: architecture.tokenEmbedding, factor: architecture.embeddingFactor ?? 1 };
  }

  /** The padding row of an embedding; null if it has none. */
  paddingOf(module: string): number | null {
    return this.#paddings.get(module) ?? null;
  }

  embeddingFactorOf(module: string): number {
    return module === this.#input.module ? this.#input.factor : 1;
  }

  /** Checks whether a linear module's matrix is `(in, out)`. */
  isTransposed(module: string): boolean {
    return this.#transposed.has(module);
  }

  /** The adapter's replacement for `name`, or the frozen weight with this name or alias; null if the model has none. */
  find(name: string, context: LayerContext): Weight | null {
    const replacement = this.attachment?.replacements?.get(name);
    return replacement ? replacement(context) : this.#base(name);
  }

  /** The context for a tuner's wrappers. `current` may return other parameters while blocks run again for their gradients. */
  context(
    current: () => ParameterTensors,
    { random, active }: Pick<LayerContext, 'random' | 'active'> = {},
  ): LayerContext {
    return {
      parameter(name) {
        const found = current().get(name);
        if (!found) throw new Error(`the adapter has no parameter ${name}`);
        return found;
      },
      weight: (name) => this.#base(name),
      ...(random ? { random } : {}),
      ...(active ? { active } : {}),
    };
  }

  #base(name: string): FrozenWeight | null {
    return this.#frozen.get(this.#aliases[name] ?? name) ?? null;
  }
}
