import { type AdapterVersion, type FineTuningJob, GraftApiError } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Link } from 'wouter-preact';
import { Disclosure } from '../../components/disclosure.tsx';
import { Empty } from '../../components/empty.tsx';
import { LinkButton } from '../../components/forms/button.tsx';
import { CopyButton } from '../../components/forms/copy-button.tsx';
import { Icon } from '../../components/icon.tsx';
import { Facts } from '../../components/lists/facts.tsx';
import { Problem } from '../../components/problem.tsx';
import { graft } from '../../data/graft.ts';
import { useMay } from '../../data/session.ts';
import { playgroundWith } from '../../router/playground-with.ts';
import { bytes, count, counted, measure } from '../../text/numbers.ts';
import { UseIt } from '../adapter/use-it.tsx';
import { EstimateTable } from './estimate-table.tsx';
import { Lineage } from './lineage.tsx';
import { type Proof, proofInWords, versionMetrics } from './version-metrics.ts';

/** The adapter that came of it, the proof that it does something, what it cost beside the estimate, and where it comes from. */
export function Result({ job }: { job: FineTuningJob }) {
  const model = job.fine_tuned_model;
  const mayRead = useMay('adapters:read') && useMay('models:read');
  const {
    data: version,
    error,
    refetch,
  } = useQuery({
    queryKey: ['version-of', model],
    queryFn: () => graft.adapters.retrieveVersionOf(model!),
    enabled: model !== null && mayRead,
    staleTime: 60_000,
  });
  const isGone = error instanceof GraftApiError && error.status === 404;
  if (error && !isGone) return <Problem error={error} onRetry={refetch} />;
  const metrics = versionMetrics(version ?? null);
  return (
    <section class="stack" aria-label="Result">
      {model === null ? (
        <Empty title="No adapter yet">
          <p>{emptyWords[job.status] ?? 'It is published when the job has succeeded.'}</p>
        </Empty>
      ) : isGone ? (
        <Empty title="Its adapter was deleted">
          <p>
            For some days it can be restored, among the{' '}
            <Link href="/adapters?show=deleted">deleted ones of the adapters</Link>.
          </p>
        </Empty>
      ) : (
        <Made job={job} model={model} version={version ?? null} proof={metrics?.proof ?? null} />
      )}
      <EstimateTable job={job} metrics={metrics} />
      {version && <Lineage version={version} />}
    </section>
  );
}

const emptyWords: Partial<Record<FineTuningJob['status'], string>> = {
  failed: 'The job failed. What it had kept by then are its checkpoints.',
  cancelled: 'The job was cancelled. What it had kept by then are its checkpoints.',
};

function Made({
  job,
  model,
  version,
  proof,
}: {
  job: FineTuningJob;
  model: string;
  version: AdapterVersion | null;
  proof: Proof | null;
}) {
  const { training_end: end } = job;
  const mayCall = useMay('completions:write');
  const mayTrain = useMay('jobs:write');
  return (
    <section class="panel">
      <h2>Adapter</h2>
      <p class="row">
        <code class="model-name">{model}</code>
        <CopyButton text={model} label="Copy name" />
      </p>
      {proof && <p class="proof">{proofInWords(proof)}</p>}
      <Facts
        facts={[
          ...(version
            ? [
                { name: 'Version', value: `${version.version} of ${version.adapter_name}` },
                { name: 'Size', value: bytes(version.bytes), note: counted(version.files.length, 'file') },
                {
                  name: 'Digest',
                  value: <code>{version.digest.slice(0, 16)}</code>,
                  note: 'beginning of the SHA-256 of its files',
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
                      ? `stopped early, of ${count(end.total_steps)} planned`
                      : end.best &&
                        `best ${end.best.metric} ${measure(end.best.value)} at ${count(end.best.step)}`,
                },
              ]
            : []),
        ]}
      />
      {version && (
        <>
          <p class="row">
            {mayCall && (
              <LinkButton kind="main" icon="talk" href={playgroundWith(version.base_model, model)}>
                Try it beside its base
              </LinkButton>
            )}
            <a class="button" href={version.download_path} download>
              <Icon name="download" /> Download
            </a>
            {mayTrain && (
              <LinkButton href={`/jobs/new?${new URLSearchParams({ start: model })}`}>
                Continue from it
              </LinkButton>
            )}
            <LinkButton href={`/adapters/${version.adapter_id}?version=${version.version}`}>
              Open the version
            </LinkButton>
          </p>
          <Disclosure summary="Call it or load it in your code">
            <UseIt version={version} />
          </Disclosure>
        </>
      )}
    </section>
  );
}
