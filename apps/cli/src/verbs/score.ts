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
    summary: 'log-probabilities of given texts, in float32',
    examples: [
      'graft score --model smollm2-135m-instruct --adapter my-adapter --input texts.jsonl --output scores.jsonl',
    ],
  })
    .requiredOption('--model <model>', 'folder, .gguf file, or id such as smollm2-135m-instruct')
    .option('--adapter <folder>', 'score with this adapter')
    .requiredOption('--input <file>', '{"text"} or {"input_ids"} per line')
    .requiredOption(
      '--output <file>',
      'gets {"input_ids", "logprobs"} per line: of each token after the first',
    )
    .action(async (options: ScoreVerbOptions) => {
      const { scoreHere } = await import('../score-here.ts');
      await scoreHere(options);
    });
}
