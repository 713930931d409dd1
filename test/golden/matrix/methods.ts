import type { ArchitectureRow } from './architectures.ts';

/** One configuration of a PEFT method; it is tried on every architecture. */
export interface MethodRow {
  name: string;
  /** Fields that PEFT's config and Graft's `peft` share, peft_type included, for one architecture. */
  config(architecture: ArchitectureRow): Record<string, unknown>;
  merges: boolean;
  /** Whether PEFT's files hold all that is trained, or an encoder's output: then Graft starts from start.safetensors. */
  start: 'adapter' | 'parameters';
  learningRate: number;
}

const common = { merges: true, start: 'adapter', learningRate: 3e-3 } as const;

export const methods: MethodRow[] = [
  {
    ...common,
    name: 'lora',
    config: ({ names }) => ({ peft_type: 'LORA', r: 4, lora_alpha: 8, target_modules: names.attention }),
  },
  {
    ...common,
    name: 'ia3',
    learningRate: 3e-2,
    config: ({ names }) => ({
      peft_type: 'IA3',
      target_modules: names.ia3,
      feedforward_modules: names.feedForward,
    }),
  },
  {
    ...common,
    name: 'ia3 by default, norms saved',
    learningRate: 3e-2,
    config: ({ names }) => ({
      peft_type: 'IA3',
      exclude_modules: '.*\\.0\\..*',
      modules_to_save: names.norms.slice(0, 1),
    }),
  },
  {
    ...common,
    name: 'ln_tuning',
    learningRate: 3e-2,
    config: ({ names }) => ({ peft_type: 'LN_TUNING', target_modules: names.norms }),
  },
  {
    ...common,
    name: 'ln_tuning by default',
    learningRate: 3e-2,
    config: () => ({ peft_type: 'LN_TUNING' }),
  },
  {
    ...common,
    name: 'ln_tuning of other modules',
    learningRate: 3e-2,
    config: ({ names }) => ({
      peft_type: 'LN_TUNING',
      target_modules: [...names.feedForward, names.head ?? names.norms[0]],
    }),
  },
];
