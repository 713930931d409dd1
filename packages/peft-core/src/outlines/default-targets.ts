import type { DefaultTargets } from './outline.ts';

/**
 * Default modules of the methods that adapt weight matrices: HF PEFT has the same for all of them.
 * Source: peft 0.21.2, utils/constants.py.
 */
export function matrixTargets(target_modules: string[]): DefaultTargets {
  return {
    LORA: { target_modules },
    MISS: { target_modules },
    OFT: { target_modules },
    HIRA: { target_modules },
    LOKR: { target_modules },
    LOHA: { target_modules },
    VERA: { target_modules },
  };
}
