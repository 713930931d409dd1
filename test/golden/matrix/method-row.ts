import type { ArchitectureRow } from './architecture-row.ts';

/** One configuration of a PEFT method; it is tried on every architecture. */
export interface MethodRow {
  name: string;
  /** Another set of options of a method that has its own row: tested on few architectures, see rules.ts. */
  variant?: true;
  /** The only architectures on which it is tested: it changes weights of linear layers, which they share. See rules.ts. */
  only?: readonly string[];
  /** True for methods on matrices of experts, which are tested where an architecture has them. */
  onExperts?: true;
  /** Fields that PEFT's config and Graft's `peft` share, peft_type included, for one architecture. */
  config(architecture: ArchitectureRow): Record<string, unknown>;
  merges: boolean | ((architecture: ArchitectureRow) => boolean);
  /** `adapter`: PEFT's files have all that is trained. `parameters`: they have an encoder's output; Graft starts from start.safetensors. */
  start: 'adapter' | 'parameters';
  learningRate: number;
  /** Set where the method's own gradient leaves something out, so that finite differences cannot agree with it. */
  partialGradient?: true;
  /**
   * Set where, in models with experts, the smallest steps change which experts tokens get, so that finite differences mean nothing there.
   * The twenty steps that are compared with PyTorch's check the gradient.
   */
  jumpsOnExperts?: true;
}
