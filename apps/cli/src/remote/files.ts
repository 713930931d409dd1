import type { FileObject } from '@graft/client';
import type { Command } from 'commander';
import { wholeNumber } from '../arguments.ts';
import { bytes, count, timestamp } from '../draw/quantities.ts';
import { fields, table } from '../draw/table.ts';
import { createOutput, type Output } from '../output.ts';
import { noun, type RemoteOptions, verb } from '../verb.ts';
import { connect } from './connect.ts';
import { addReportVerb } from './file-report.ts';
import { uploadFile } from './upload-file.ts';

export function addFilesVerbs(program: Command): void {
  const files = noun(program, 'files', 'training data: upload, report, list, get, delete');

  verb(files, {
    name: 'upload <path>',
    summary: 'upload a JSONL file and report its invalid lines; run it again to resume an interrupted upload',
    examples: ['graft files upload train.jsonl'],
    remote: true,
  })
    .option('--purpose <purpose>', 'what the file is for', 'fine-tune')
    .action(async (path: string, options: RemoteOptions & { purpose: string }) => {
      const output = createOutput(options);
      const file = await uploadFile(await connect(options), path, options.purpose);
      output.result(file, () => describe(file, output));
    });

  addReportVerb(files);

  verb(files, {
    name: 'list',
    summary: 'list the files of your team, newest first',
    examples: ['graft files list --limit 10'],
    remote: true,
  })
    .option('--limit <n>', 'at most this many', wholeNumber(1), 100)
    .option('--purpose <purpose>', 'only files with this purpose')
    .action(async (options: RemoteOptions & { limit: number; purpose?: string }) => {
      const output = createOutput(options);
      const client = await connect(options);
      const purpose = options.purpose === undefined ? {} : { purpose: options.purpose };
      const list = client.files.list({ ...purpose, limit: Math.min(options.limit, 1_000) });
      const data = await list.toArray(options.limit);
      output.result({ object: 'list', data }, () =>
        table(
          ['ID', 'FILE', 'SIZE', 'EXAMPLES', 'PURPOSE', 'UPLOADED'],
          data.map((file) => [
            file.id,
            file.filename,
            bytes(file.bytes),
            file.examples === null ? '' : count(file.examples),
            file.purpose,
            timestamp(file.created_at),
          ]),
          output.paint,
          'No files yet. Upload one with: graft files upload train.jsonl',
        ),
      );
    });

  verb(files, {
    name: 'get <id>',
    summary: 'show a file, or save its content',
    examples: ['graft files get file-… --output train.jsonl'],
    remote: true,
  })
    .option('--output <path>', 'save the content to this file; - is stdout')
    .action(async (id: string, options: RemoteOptions & { output?: string }) => {
      const output = createOutput(options);
      const client = await connect(options);
      if (options.output === undefined) {
        const file = await client.files.retrieve(id);
        return output.result(file, () => describe(file, output));
      }
      const { saveStream } = await import('../save-stream.ts');
      const content = await client.files.content(id);
      const saved = await saveStream(content.bytes(), options.output);
      if (options.output !== '-') {
        const result = { path: options.output, bytes: saved };
        output.result(result, () => `Saved ${bytes(saved)} to ${options.output}`);
      }
    });

  verb(files, {
    name: 'delete <id>',
    summary: 'delete a file',
    examples: ['graft files delete file-…'],
    remote: true,
  }).action(async (id: string, options: RemoteOptions) => {
    const deleted = await (await connect(options)).files.delete(id);
    createOutput(options).result(deleted, () => `Deleted ${deleted.id}`);
  });
}

function describe(file: FileObject, { paint }: Output): string {
  return fields(
    [
      ['id', file.id],
      ['file', file.filename],
      ['size', bytes(file.bytes)],
      ['examples', file.examples === null ? null : count(file.examples)],
      ['format', file.format],
      ['purpose', file.purpose],
      ['sha256', file.sha256],
      ['uploaded', timestamp(file.created_at)],
    ],
    paint,
  );
}
