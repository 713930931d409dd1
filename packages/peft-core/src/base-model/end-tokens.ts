import { turnEnds } from '../chat/turn-ends.ts';
import type { Tokenizer } from '../text/index.ts';
import type { BaseModel } from './base-model.ts';

type Configs = Pick<BaseModel, 'config' | 'generationConfig'>;

/**
 * Ids of the tokens that end a model's answers. `text`: those of generation_config.json, config.json and the tokenizer. `chat`: also
 * those that end a turn in its chat template (`turnEnds`), because a base model trained on conversations learns these. Its files
 * often name only another token, such as `<|endoftext|>` where turns end with `<|im_end|>`.
 */
export function endTokens(
  base: Configs,
  tokenizer: Tokenizer,
): { text: ReadonlySet<number>; chat: ReadonlySet<number> } {
  const text = new Set([...configuredEnds(base), ...idsOf(tokenizer.eosId)]);
  return { text, chat: new Set([...text, ...turnEnds(tokenizer)]) };
}

/**
 * generation_config.json that ends answers in conversations at the end of a turn in any library: the existing ids of `eos_token_id`,
 * followed by those that end turns. Unchanged if none is missing.
 */
export function withTurnEnds(base: Configs, tokenizer: Tokenizer): Record<string, unknown> | null {
  const { config, generationConfig } = base;
  // Libraries use config.json's ids only if generation_config.json has none.
  const named = idsOf(generationConfig?.eos_token_id);
  const known = named.length > 0 ? named : idsOf(config.eos_token_id);
  const missing = turnEnds(tokenizer).filter((id) => !known.includes(id));
  if (missing.length === 0) return generationConfig;
  const ids = known.length > 0 ? known : idsOf(tokenizer.eosId);
  return {
    ...(generationConfig ?? fromModelConfig(config)),
    eos_token_id: [...new Set([...ids, ...missing])],
  };
}

/** The generation config that transformers derives from a config.json without a generation_config.json. */
function fromModelConfig(config: Record<string, unknown>): Record<string, unknown> {
  const fields = ['bos_token_id', 'pad_token_id', 'decoder_start_token_id'];
  return Object.fromEntries(
    fields.flatMap((name) => ((config[name] ?? null) === null ? [] : [[name, config[name]]])),
  );
}

const configuredEnds = ({ config, generationConfig }: Configs): number[] => [
  ...idsOf(generationConfig?.eos_token_id),
  ...idsOf(config.eos_token_id),
];

function idsOf(value: unknown): number[] {
  return [value].flat().filter((id): id is number => typeof id === 'number');
}
