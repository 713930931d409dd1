import { type AdapterVersion, type FineTuningJob, GraftApiError, type JobAttempt } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Link } from 'wouter-preact';
import { Disclosure } from '../../components/disclosure.tsx';
import { Empty } from '../../components/empty.tsx';
import { DownloadLink, LinkButton } from '../../components/forms/button.tsx';
import { CopyButton } from '../../components/forms/copy-button.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { Table } from '../../components/lists/table.tsx';
import { Problem } from '../../components/problem.tsx';
import { graft } from '../../data/graft.ts';
import { useAttempts } from '../../data/jobs.ts';
import { usePermission } from '../../data/session.ts';
import { metricsOfVersion, type VersionMetrics } from '../../data/version-metrics.ts';
import { bytes, compact, count, counted, measure } from '../../text/numbers.ts';
import { duration } from '../../text/times.ts';
import { Effect } from '../adapter/effect.tsx';
import { Lineage } from '../adapter/lineage.tsx';
import { UsageCode } from '../adapter/usage-code.tsx';
import { PlaygroundLink } from '../playground/playground-link.tsx';

/** The job's adapter, the proof of its effect, estimate and actual cost, and lineage. */
export function Result({ job }: { job: FineTuningJob }) {
  const model = job.fine_tuned_model;
  const canRead = usePermission('adapters:read') && usePermission('models:read');
  const {
    data: version,
    error,
    refetch,
  } = useQuery({
    queryKey: ['version-of', model],
    queryFn: () => graft.adapters.retrieveVersionOf(model!),
    enabled: model !== null && canRead,
    staleTime: 60_000,
  });
  const isDeleted = error instanceof GraftApiError && error.status === 404;
  if (error && !isDeleted) return <Problem error={error} onRetry={refetch} />;
  const metrics = version ? metricsOfVersion(version) : null;
  return (
    <section class="stack" aria-label="Result">
      {model === null ? (
        <Empty title="No adapter yet">
          <p>{emptyTexts[job.status] ?? 'The adapter is published when the job succeeds.'}</p>
        </Empty>
      ) : isDeleted ? (
        <Empty title="Adapter deleted">
          <p>
            You can restore it for a few days under{' '}
            <Link href="/adapters?show=deleted">deleted adapters</Link>.
          </p>
        </Empty>
      ) : (
        <PublishedAdapter job={job} model={model} version={version ?? null} />
      )}
      <EstimateTable job={job} metrics={metrics} />
      {version && (
        <section class="panel">
          <h2>Lineage</h2>
          <Lineage version={version} />
        </section>
      )}
    </section>
  );
}

const emptyTexts: Partial<Record<FineTuningJob['status'], string>> = {
  failed: 'The job failed. Its checkpoints are kept.',
  cancelled: 'The job was cancelled. Its checkpoints are kept.',
};

function PublishedAdapter({
  job,
  model,
  version,
}: {
  job: FineTuningJob;
  model: string;
  version: AdapterVersion | null;
}) {
  const { training_end: end } = job;
  const canTrain = usePermission('jobs:write');
  return (
    <section class="panel">
      <h2>Adapter</h2>
      <p class="row">
        <code class="wrap-anywhere">{model}</code>
        <CopyButton text={model} label="Copy name" />
      </p>
      {version && <Effect version={version} />}
      <Facts
        facts={[
          ...(version
            ? [
                { name: 'Version', value: `${version.version} of ${version.adapter_name}` },
                { name: 'Size', value: bytes(version.bytes), note: counted(version.files.length, 'file') },
                {
                  name: 'Digest',
                  value: <code>{version.digest.slice(0, 16)}</code>,
                  note: 'SHA-256 of the files, shortened',
                },
              ]
            : []),
          ...(end
            ? [
                {
                  name: 'Published step',
                  value: count(end.published_step),
                  note:
                    end.reason === 'early_stopping'
                      ? `stopped early (${count(end.total_steps)} planned)`
                      : end.best &&
                        `best ${end.best.metric} ${measure(end.best.value)} at step ${count(end.best.step)}`,
                },
              ]
            : []),
        ]}
      />
      {version && (
        <>
          <p class="row">
            <PlaygroundLink kind="main" a={version.base_model} b={model}>
              Compare with base model
            </PlaygroundLink>
            <DownloadLink icon="download" href={version.download_path}>
              Download
            </DownloadLink>
            {canTrain && (
              <LinkButton href={`/jobs/new?${new URLSearchParams({ start: model })}`}>
                Continue training
              </LinkButton>
            )}
            <LinkButton href={`/adapters/${version.adapter_id}?version=${version.version}`}>
              Open version
            </LinkButton>
          </p>
          <Disclosure summary="Use in your code">
            <UsageCode version={version} />
          </Disclosure>
        </>
      )}
    </section>
  );
}

function EstimateTable({ job, metrics }: { job: FineTuningJob; metrics: VersionMetrics | null }) {
  const { data: attempts } = useAttempts(job.id);
  const { estimate, progress, trained_tokens: tokens } = job;
  if (!estimate) return null;
  const rows: [string, string, string][] = [
    ['Trainable parameters', compact(estimate.trainable_parameters), compact(metrics?.parameters?.trainable)],
    ['Peak memory', bytes(estimate.peak_memory_bytes), bytes(metrics?.peak_memory_bytes)],
    ['Steps', count(estimate.steps), count(job.training_end?.step ?? progress?.step)],
    ['Tokens', compact(estimate.tokens), compact(tokens ?? progress?.tokens)],
    ['Time', duration(estimate.seconds), duration(attempts && timeTrained(attempts.data))],
  ];
  return (
    <section class="panel">
      <h2>Estimate and actual</h2>
      <Table
        label="Estimate and actual"
        minWidth="24rem"
        rows={rows}
        rowKey={([name]) => name}
        columns={[
          { head: 'Metric', cell: ([name]) => name },
          { head: 'Estimated', end: true, cell: ([, estimated]) => estimated },
          { head: 'Actual', end: true, cell: ([, , actual]) => actual },
        ]}
      />
      <p class="small soft">
        Estimated for {estimate.device === 'gpu' ? 'a GPU' : 'CPU'} and {estimate.precision}. Actual memory is
        reported when the adapter is published.
      </p>
    </section>
  );
}

/** Seconds of training in all attempts, including lost ones. Null: not trained yet. */
function timeTrained(attempts: readonly JobAttempt[]): number | null {
  const trainings = attempts.filter(({ kind }) => kind === 'training');
  if (trainings.length === 0) return null;
  const now = Date.now() / 1000;
  return trainings.reduce((sum, { started_at, ended_at }) => sum + (ended_at ?? now) - started_at, 0);
}
