import type { Command } from 'commander';
import { anyNumber, wholeNumber } from '../arguments.ts';
import { verb } from '../verb.ts';

export interface TrainVerbOptions {
  json?: boolean;
  model: string;
  data: string;
  output: string;
  validation?: string;
  peft?: string;
  training?: string;
  epochs?: number;
  batchSize?: number;
  learningRate?: number;
  maxSteps?: number;
  seed?: number;
  startFrom?: string;
  checkpoints?: string;
  resume?: boolean;
  curve?: string;
  overwrite?: boolean;
}

export function addTrainVerb(program: Command): void {
  verb(program, {
    name: 'train',
    summary: 'train an adapter here; its folder loads in Hugging Face PEFT',
    examples: [
      'graft train --model smollm2-135m-instruct --data train.jsonl --output my-adapter',
      `graft train --model ./my-model --data train.jsonl --output my-adapter --peft '{"peft_type":"LORA","r":16}' --training @training.json`,
      `graft train --model ./my-model --data train.jsonl --output my-adapter --training '{"base_dtype":"nf4"}'`,
      `graft train --model all-minilm-l6-v2 --data labelled.jsonl --output my-classifier --peft '{"peft_type":"LORA","task_type":"SEQ_CLS"}'`,
    ],
  })
    .requiredOption('--model <model>', 'folder, .gguf file, or id such as smollm2-135m-instruct')
    .requiredOption(
      '--data <file>',
      'training data, JSONL: {"messages"}, {"prompt","completion"} or {"text"}; for other tasks {"text","label"}, {"tokens","labels"}, {"anchor","positive"} or {"sentence1","sentence2","score"}',
    )
    .requiredOption('--output <folder>', 'the adapter')
    .option('--validation <file>', 'validation data, JSONL')
    .option(
      '--peft <json>',
      "the method's configuration in HF PEFT's names, with the task_type if it is not to write text; or @file (default: LoRA, r = 8)",
    )
    .option(
      '--training <json>',
      'training options, or @file: {"max_seq_length": 512, "precision": "fp32", "base_dtype": "nf4", …}',
    )
    .option('--epochs <n>', 'passes over the data (default: chosen by size)', wholeNumber(1))
    .option('--batch-size <n>', 'examples per step (default: 8)', wholeNumber(1))
    .option('--learning-rate <x>', 'peak learning rate (default: 2e-4 for LoRA)', anyNumber)
    .option('--max-steps <n>', 'end after this many steps', wholeNumber(1))
    .option('--seed <n>', 'of order, start values and dropout', wholeNumber(0))
    .option(
      '--start-from <folder>',
      'go on from an adapter, as the method that it is, instead of fresh values',
    )
    .option('--checkpoints <folder>', 'state for --resume, deleted at the end (default: OUTPUT.checkpoints)')
    .option('--resume', 'go on with an interrupted run of the same data and options')
    .option('--curve <file>', 'also draw the loss curve as SVG')
    .option('--overwrite', 'write into an output folder that is not empty')
    .action(async (options: TrainVerbOptions) => {
      const { trainLocal } = await import('./train-local.ts');
      process.exitCode = await trainLocal(options);
    });
}
