import type { Command } from 'commander';
import { verb } from '../verb.ts';

export interface ScoreVerbOptions {
  json?: boolean;
  model: string;
  adapter?: string;
  input: string;
  output: string;
}

export function addScoreVerb(program: Command): void {
  verb(program, {
    name: 'score',
    summary: 'what a model makes of given texts, in float32: log-probabilities, logits or embeddings',
    examples: [
      'graft score --model smollm2-135m-instruct --adapter my-adapter --input texts.jsonl --output scores.jsonl',
      'graft score --model all-minilm-l6-v2 --adapter my-classifier --input texts.jsonl --output -',
    ],
  })
    .requiredOption('--model <model>', 'folder, .gguf file, or id such as smollm2-135m-instruct')
    .option('--adapter <folder>', 'score with this adapter')
    .requiredOption(
      '--input <file>',
      '{"text"} or {"input_ids"} per line; for an encoder-decoder {"text","target"} or {"input_ids","labels"}',
    )
    .requiredOption(
      '--output <file>',
      'per line {"input_ids"} and "logprobs" of each token after the first; "logits" of a classifier; an "embedding"; - is stdout',
    )
    .action(async (options: ScoreVerbOptions) => {
      const { scoreLocal } = await import('./score-local.ts');
      await scoreLocal(options);
    });
}
