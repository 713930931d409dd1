import type { ChatMessage } from '@graft/client';

interface Done {
  /** With /v1. */
  baseUrl: string;
  /** The data, as the shell finds it. */
  file: string;
  /** Body of the request that made the job, without the file. */
  job: Record<string, unknown>;
  jobId: string;
  adapterId: string;
  version: number;
  /** What the adapter is called by. */
  model: string;
  messages: ChatMessage[];
}

/** What the demo did, as commands that can be typed: data, job, progress, adapter, answer. */
export function curlLines(done: Done): string[] {
  const { baseUrl } = done;
  const auth = '-H "Authorization: Bearer $GRAFT_API_KEY"';
  const json = '-H "Content-Type: application/json"';
  const body = (value: unknown) => `-d '${JSON.stringify(value).replaceAll("'", "'\\''")}'`;
  return [
    `curl ${baseUrl}/files ${auth} -F purpose=fine-tune -F file=@${done.file}`,
    `curl ${baseUrl}/fine_tuning/jobs ${auth} ${json} ${body({ ...done.job, training_file: 'file-…' })}`,
    `curl -N "${baseUrl}/fine_tuning/jobs/${done.jobId}/events?stream=true" ${auth}`,
    `curl ${baseUrl}/adapters/${done.adapterId}/versions/${done.version}/download ${auth} -o adapter.tar`,
    `curl ${baseUrl}/chat/completions ${auth} ${json} ${body({ model: done.model, temperature: 0, messages: done.messages })}`,
  ];
}
