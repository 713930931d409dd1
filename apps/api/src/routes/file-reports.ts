import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type FileRecord, type FileReport, getFile, requestFileReport } from '@graft/service';
import { FileParams } from '@graft/wire/file';
import { FileReportQuery, FileReportSchema } from '@graft/wire/file-report';
import { ref } from '@graft/wire/schema';
import type { Static } from 'typebox';
import { unixSeconds } from '../answers/list.ts';
import { ApiError } from '../api-error.ts';
import { found } from '../not-found.ts';
import type { LeasedWork } from '../threads/leased-work.ts';
import { columnsIn } from '../uploads/receive-upload.ts';
import { operations } from './operation.ts';

const operation = operations('Files');

/** /files/…/report: the content of a file, and which of its tokens a model would be trained on. */
export const fileReportRoutes: FastifyPluginAsyncTypebox<{ reporter: LeasedWork }> = async (
  app,
  { reporter },
) => {
  const { services } = app;

  app.get(
    '/files/:file_id/report',
    operation(
      { access: { scope: 'files:read', models: 'report' } },
      'Get the report of a file',
      ref(FileReportSchema),
      {
        description:
          'The first request starts the report. Repeat it after the seconds in Retry-After until `status` is no longer `running`. A report is kept for a week, and deleted with its file.',
        params: FileParams,
        querystring: FileReportQuery,
      },
    ),
    async (request, reply) => {
      const { teamId } = request.caller;
      const { model = null, max_seq_length: maxSeqLength = null } = request.query;
      const given = request.query.columns === undefined ? null : columnsIn(request.query.columns);
      const id = request.params.file_id;
      const file = found(await getFile(services, teamId, id), 'file', id);
      if (file.purpose !== 'fine-tune') {
        const message = `${file.id} has purpose "${file.purpose}" and contains no training examples.`;
        throw new ApiError('invalid_file_purpose', message, { param: 'file_id' });
      }
      if (model === null && maxSeqLength !== null) {
        throw new ApiError(
          'missing_required_parameter',
          "'max_seq_length' requires 'model', whose tokens it counts.",
          {
            param: 'model',
          },
        );
      }
      if (model !== null && !(await services.baseModels.has(model, teamId))) {
        throw new ApiError('model_not_found', `There is no base model '${model}'.`, { param: 'model' });
      }
      const { sha256 } = file;
      const report = await requestFileReport(services, teamId, {
        sha256,
        model,
        maxSeqLength,
        columns: given ?? file.columns,
      });
      if (report.status === 'running') {
        reporter.wake();
        reply.header('retry-after', '1');
      }
      return toWireFileReport(file, report);
    },
  );
};

function toWireFileReport(file: FileRecord, report: FileReport): Static<typeof FileReportSchema> {
  const { model, status, progress, result, error } = report;
  return {
    object: 'file.report',
    file_id: file.id,
    model,
    max_seq_length: report.maxSeqLength,
    status,
    progress:
      status === 'running' && progress
        ? { bytes: progress.bytes, total_bytes: progress.totalBytes, examples: progress.examples }
        : null,
    report: result,
    error: error && { code: error.code, message: error.message, param: error.param },
    created_at: unixSeconds(report.createdAt),
    finished_at: report.finishedAt && unixSeconds(report.finishedAt),
  };
}
