import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox';
import { type FileRecord, getFile } from '@graft/service/files';
import type { Claiming } from '@graft/service/repeat';
import { type FileReport, requestFileReport } from '@graft/service/reports';
import { FileParams } from '@graft/wire/file';
import { FileReportQuery, FileReportSchema } from '@graft/wire/file-report';
import { EstimateJobSchema } from '@graft/wire/jobs/fine-tuning-job';
import { ref } from '@graft/wire/schema';
import type { FastifyReply } from 'fastify';
import type { Static } from 'typebox';
import { unixSeconds } from '../answers/list.ts';
import { ApiError } from '../api-error.ts';
import { jobReading } from '../job-files/task-tokenizer.ts';
import { checkTraining, type TrainingBody } from '../jobs/check-training.ts';
import type { OptionChecker } from '../jobs/option-checker.ts';
import { planJob } from '../jobs/plan-job.ts';
import { found } from '../not-found.ts';
import { checkScope } from '../plugins/auth.ts';
import { columnsIn } from '../uploads/receive-upload.ts';
import { operations } from './operation.ts';

const operation = operations('Files');

const started =
  'The first request starts the report. Repeat it after the seconds in Retry-After until `status` is no longer `running`. A report is kept for a week, and deleted with its file.';

/** /files/…/report: the content of a file, and which of its tokens a model would be trained on. */
export const fileReportRoutes: FastifyPluginAsyncTypebox<{
  reporter: Claiming;
  checker: OptionChecker;
}> = async (app, { reporter, checker }) => {
  const { services } = app;

  app.get(
    '/files/:file_id/report',
    operation(
      { access: { scope: 'files:read', models: 'report' } },
      'Get the report of a file',
      ref(FileReportSchema),
      { description: started, params: FileParams, querystring: FileReportQuery },
    ),
    async (request, reply) => {
      const { teamId } = request.caller;
      const { model = null, max_seq_length: maxSeqLength = null } = request.query;
      const given = request.query.columns === undefined ? null : columnsIn(request.query.columns);
      const file = await trainedFile(teamId, request.params.file_id);
      if (model === null && maxSeqLength !== null) {
        throw new ApiError(
          'missing_required_parameter',
          "'max_seq_length' requires 'model', whose tokens it counts.",
          { param: 'model' },
        );
      }
      if (model !== null && !(await services.baseModels.has(model, teamId))) {
        throw new ApiError('model_not_found', `There is no base model '${model}'.`, { param: 'model' });
      }
      return await answer(reply, file, { model, maxSeqLength, columns: given ?? file.columns });
    },
  );

  app.post(
    '/files/:file_id/report',
    operation(
      { access: { scope: 'jobs:read', role: 'viewer', models: 'start' } },
      'Get the report of a file for a planned job',
      ref(FileReportSchema),
      {
        description: `Reads the file as a job with these options does: shows the text, the tokens that count towards the loss, and what is truncated or left out. Accepts and rejects the same bodies as creating a job. Without files in the body, the file is the training file of the job. ${started}`,
        params: FileParams,
        body: ref(EstimateJobSchema),
      },
    ),
    async (request, reply) => {
      const { caller, params } = request;
      // The answer has the file's text, besides options of the adapter that the job continues from.
      checkScope(caller, 'files:read');
      const file = await trainedFile(caller.teamId, params.file_id);
      const body = withFile(request.body, file.id);
      const checked = await checkTraining(services, checker, caller, body, reply);
      const { tokenizerKey: _, tokenizerFiles: __, modelConfig: ___, ...job } = jobReading(planJob(checked));
      return await answer(reply, file, {
        model: checked.baseModel,
        maxSeqLength: checked.training.max_seq_length ?? null,
        columns: job.columns ?? null,
        job,
      });
    },
  );

  async function trainedFile(teamId: string, id: string): Promise<FileRecord> {
    const file = found(await getFile(services, teamId, id), 'file', id);
    if (file.purpose === 'fine-tune') return file;
    const message = `${file.id} has purpose "${file.purpose}" and contains no training examples.`;
    throw new ApiError('invalid_file_purpose', message, { param: 'file_id' });
  }

  async function answer(
    reply: FastifyReply,
    file: FileRecord,
    about: Omit<Parameters<typeof requestFileReport>[2], 'sha256'>,
  ) {
    const report = await requestFileReport(services, file.teamId, { sha256: file.sha256, ...about });
    if (report.status === 'running') {
      reporter.wake();
      reply.header('retry-after', '1');
    }
    return toWireFileReport(file, report);
  }
};

/** The request for a job of the file. One with files must have it among them. */
function withFile(body: TrainingBody, file: string): TrainingBody {
  const { training_file, validation_file, training_files, validation_files } = body;
  const several = [...(training_files ?? []), ...(validation_files ?? [])].map((each) => each.file);
  const given = [training_file, validation_file, ...several].filter((each) => each != null);
  if (given.includes(file)) return body;
  if (!training_file && !training_files) return { ...body, training_file: file };
  const message = `${file} is not a file of this job; send a body without training files, or name ${file} in it.`;
  throw new ApiError('invalid_value', message, { param: 'training_file' });
}

function toWireFileReport(file: FileRecord, report: FileReport): Static<typeof FileReportSchema> {
  const { model, job, status, progress, result, error } = report;
  return {
    object: 'file.report',
    file_id: file.id,
    model,
    max_seq_length: report.maxSeqLength,
    job: job && {
      method: job.method,
      overlong: job.overlong,
      train_on: job.trainOn ?? 'all_assistant',
      mask_reasoning: job.maskReasoning ?? false,
      chat_template_kwargs: job.templateKwargs,
      has_chat_template: job.chatTemplate !== null,
    },
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
