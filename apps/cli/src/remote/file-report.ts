import type { Command } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { fileReportView } from '../draw/file-report-view.ts';
import { TransferDisplay } from '../draw/transfer-display.ts';
import { CommandError } from '../errors.ts';
import { createOutput } from '../output.ts';
import { type RemoteOptions, verb } from '../verb.ts';
import { connect } from './connect.ts';

interface ReportVerbOptions extends RemoteOptions {
  model?: string;
  maxSeqLength?: number;
}

export function addReportVerb(files: Command): void {
  verb(files, {
    name: 'report <id>',
    summary: 'report invalid lines, duplicates, token lengths and target tokens of a file',
    examples: ['graft files report file-… --model smollm2-135m-instruct'],
    remote: true,
  })
    .option('--model <id>', 'base model whose tokenizer counts the tokens')
    .option('--max-seq-length <n>', 'count examples with more tokens than this', wholeNumber(1))
    .action(async (id: string, options: ReportVerbOptions) => {
      const output = createOutput(options);
      const client = await connect(options);
      const { model, maxSeqLength } = options;
      const display = new TransferDisplay(process.stderr, 'Reading');
      const report = await client.files
        .waitForReport(id, {
          ...(model === undefined ? {} : { model }),
          ...(maxSeqLength === undefined ? {} : { maxSeqLength }),
          onProgress: ({ progress }) => progress && display.update(progress.bytes, progress.total_bytes),
        })
        .finally(() => display.close());
      if (report.error) {
        if (output.json) output.result(report, () => '');
        throw new CommandError(`${report.error.message} (${report.error.code})`);
      }
      output.result(report, () => fileReportView(report, output.paint));
    });
}
