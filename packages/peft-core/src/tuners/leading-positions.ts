import type { PeftConfig } from './methods.ts';

/** Positions that a soft prompt takes before every sequence. */
export interface LeadingPositions {
  /** Tokens of the sequence itself, with trained embeddings. */
  virtualTokens: number;
  /** Keys and values of attention alone. */
  prefixLength: number;
}

export function leadingPositions(peft: PeftConfig): LeadingPositions {
  const { peft_type: type, num_virtual_tokens: count = 0 } = peft as {
    peft_type: string;
    num_virtual_tokens?: number;
  };
  return type === 'PREFIX_TUNING'
    ? { virtualTokens: 0, prefixLength: count }
    : { virtualTokens: count, prefixLength: 0 };
}
