import { Type } from 'typebox';

/** Tokens of the inputs; nothing is generated. */
export const TextsUsage = Type.Object({ prompt_tokens: Type.Integer(), total_tokens: Type.Integer() });
