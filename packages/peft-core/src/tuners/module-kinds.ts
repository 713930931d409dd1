import type { ModelOutline, ModuleDescription } from '../outlines/outline.ts';
import { isAllLinear, lastPart } from './target-modules.ts';

/** Modules of a model with the same last part of their name, as options name them: the `q_proj` of every layer. */
export interface ModuleKind {
  name: string;
  kind: ModuleDescription['kind'];
  count: number;
  /** Sizes of the first such module; null if it has none. */
  in: number | null;
  out: number | null;
  /** True where "all-linear" includes them. */
  allLinear: boolean;
}

/** The modules of a model that options can name, in the model's order. */
export function moduleKinds({ modules }: Pick<ModelOutline, 'modules'>): ModuleKind[] {
  const kinds = new Map<string, ModuleKind>();
  for (const module of modules) {
    const name = lastPart(module.name);
    const known = kinds.get(name);
    if (known) known.count++;
    else {
      const { kind, in: width = null, out = null } = module;
      kinds.set(name, { name, kind, count: 1, in: width, out, allLinear: isAllLinear(module) });
    }
  }
  return [...kinds.values()];
}
