import type { AdapterVersion } from '@graft/client';
import { useQuery } from '@tanstack/preact-query';
import { Table } from '../../components/lists/table.tsx';
import { graft } from '../../data/graft.ts';
import { useJobOptions } from '../../data/job-options.ts';
import { describeVersionMetric, metricsOfVersion, type Proof } from '../../data/version-metrics.ts';
import { counted, measure, none } from '../../text/numbers.ts';

interface Row {
  name: string;
  base: string;
  start: string;
  trained: string;
}

/** Losses and metrics of the base model, of the version it started from, and of this version. */
export function Effect({ version }: { version: AdapterVersion }) {
  const objectives = useJobOptions().data?.objectives;
  const { proof, validation_loss: loss, validation = {} } = metricsOfVersion(version);
  const { start_from: start } = version.lineage as { start_from?: { model: string } | null };
  const { data: before } = useQuery({
    queryKey: ['version-of', start?.model],
    queryFn: () => graft.adapters.retrieveVersionOf(start!.model),
    enabled: start != null,
    staleTime: 60_000,
    retry: false,
  });
  const startMetrics = before && metricsOfVersion(before);
  const rows: Row[] = [
    ...(proof
      ? [
          {
            name: `Loss on ${counted(proof.examples, `${proof.measured_on} example`)}`,
            base: measure(proof.base_loss),
            start: none,
            trained: measure(proof.served_loss ?? proof.reloaded_loss),
          },
        ]
      : []),
    ...(loss != null
      ? [
          {
            name: 'Validation loss',
            base: none,
            start: measure(startMetrics?.validation_loss),
            trained: measure(loss),
          },
        ]
      : []),
    ...Object.entries(validation).map(([name, value]) => {
      const { label, format } = describeVersionMetric(`validation.${name}`, objectives);
      const earlier = startMetrics?.validation?.[name];
      return {
        name: label,
        base: none,
        start: earlier === undefined ? none : format(earlier),
        trained: format(value),
      };
    }),
  ];
  if (rows.length === 0) return null;
  return (
    <div class="stack">
      <Table
        label="Before and after training"
        minWidth="24rem"
        rows={rows}
        rowKey={({ name }) => name}
        columns={[
          { head: 'Measure', cell: ({ name }) => name },
          { head: 'Base model', end: true, width: '7rem', cell: ({ base }) => base },
          ...(startMetrics
            ? [{ head: 'Start version', end: true, width: '7rem', cell: ({ start }: Row) => start }]
            : []),
          { head: 'This version', end: true, width: '7rem', cell: ({ trained }) => trained },
        ]}
      />
      {proof && <p class="small soft">{describeProof(proof)}</p>}
    </div>
  );
}

function describeProof({ live_loss, served_loss, measured_on }: Proof): string {
  return [
    measured_on === 'training' &&
      'No examples were held out: losses on training examples show little about other texts.',
    served_loss === undefined
      ? `Measured with the adapter's files in a new process, where the loss matches the trained model's (${measure(live_loss)}).`
      : `Measured with the adapter's files in a new process, on the base model as served. On the quantized base of training, the loss matches the trained model's (${measure(live_loss)}).`,
  ]
    .filter(Boolean)
    .join(' ');
}
