import { turnEnds } from '../chat/turn-ends.ts';
import type { Tokenizer } from '../text/index.ts';
import type { BaseModel } from './base-model.ts';

type Configs = Pick<BaseModel, 'config' | 'generationConfig'>;

/**
 * Ids of the tokens at which a model's answers end. `text`: what generation_config.json, config.json and the tokenizer say. `chat`: also
 * those that end a turn by its chat template (`turnEnds`), since a base model that learns conversations learns these, and its files
 * often name another, as `<|endoftext|>` where a turn ends with `<|im_end|>`.
 */
export function endTokens(
  base: Configs,
  tokenizer: Tokenizer,
): { text: ReadonlySet<number>; chat: ReadonlySet<number> } {
  const text = new Set([...configuredEnds(base), ...idsOf(tokenizer.eosId)]);
  return { text, chat: new Set([...text, ...turnEnds(tokenizer)]) };
}

/**
 * generation_config.json of a model whose answers to conversations are to end with their turns in any library: the ids of `eos_token_id`
 * that are there, and after them those of turns. As it is where nothing is missing.
 */
export function withTurnEnds(base: Configs, tokenizer: Tokenizer): Record<string, unknown> | null {
  const { config, generationConfig } = base;
  // Libraries take config.json's only where there is no generation_config.json that has one.
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

/** What transformers makes of a config.json without a generation_config.json beside it. */
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
