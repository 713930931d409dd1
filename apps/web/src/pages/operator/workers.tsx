import type { WorkerObject } from '@graft/client';
import { Badge } from '../../components/badge.tsx';
import { Cut, NameAndId } from '../../components/cut.tsx';
import { Choice, TextField } from '../../components/forms/field.tsx';
import { FormDialog, useAction, useForm } from '../../components/forms/form.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time, useNow } from '../../components/time.tsx';
import { graft } from '../../data/graft.ts';
import { bytes, count, counted, measure } from '../../text/numbers.ts';
import { useWorkers } from './queries.ts';

const invalidates = [['workers'], ['queue']];

/** Seconds after its last heartbeat during which a worker counts as alive; the same as the dispatcher's. */
const aliveSeconds = 60;

export function Workers() {
  const now = useNow();
  const workers = useWorkers();
  const release = useAction({
    run: ({ id }: WorkerObject) => graft.admin.workers.release(id),
    invalidates,
    successMessage: ({ hostname }) => `The worker on ${hostname} accepts jobs again.`,
  });
  return (
    <section class="panel">
      <Listing
        pages={workers}
        label="Workers"
        minWidth="61rem"
        emptyTitle="No workers"
        emptyText={
          <>
            Workers train jobs and serve completions. Start one next to the API, or on any machine that can
            reach the database and files, with <code>npm run start:worker</code>.
          </>
        }
        columns={[
          {
            head: 'Worker',
            cell: ({ id, hostname, version }) => (
              <>
                <NameAndId name={hostname} id={id} />
                <Cut text={version ?? 'unknown version'} title={version} class="small soft" />
              </>
            ),
          },
          {
            head: 'Device',
            width: '10rem',
            cell: ({ device, gpus, memory_bytes, threads, flops }) => (
              <>
                <span>
                  {device?.toUpperCase() ?? 'unknown device'}, {bytes(memory_bytes)}
                </span>
                {gpus?.map((model) => (
                  <Cut key={model} text={model} class="small soft" />
                ))}
                {threads !== null && <div class="small soft">{counted(threads, 'thread')}</div>}
                {flops?.fp32 !== undefined && (
                  <div class="small soft">{measure(flops.fp32 / 1e12)} TFLOP/s</div>
                )}
              </>
            ),
          },
          { head: 'Leases', width: '12rem', cell: (worker) => <Leases worker={worker} now={now} /> },
          {
            head: 'Serves',
            width: '9rem',
            cell: ({ base_models, load }) => (
              <>
                <Cut text={base_models.join(', ') || 'none'} class="small" />
                {load > 0 && <span class="small soft">{counted(load, 'completion')} in progress</span>}
              </>
            ),
          },
          {
            head: 'Status',
            width: '11rem',
            cell: (worker) => (
              <>
                <WorkerStatus worker={worker} now={now} />{' '}
                <span class="small soft">
                  <Time at={worker.heartbeat_at} />
                </span>
                {worker.quarantine_reason !== null && (
                  <Cut text={worker.quarantine_reason} class="small soft" />
                )}
                {worker.gpu_faults.map((fault) => (
                  <Cut key={fault} text={fault} class="small soft" />
                ))}
                {worker.quarantined_at !== null && <div class="small soft">{drainText(worker)}</div>}
                {worker.consecutive_faults > 0 && (
                  <div class="small soft">{counted(worker.consecutive_faults, 'consecutive failure')}</div>
                )}
              </>
            ),
          },
          {
            width: '9rem',
            actions: (worker) => [
              worker.quarantined_at !== null && {
                text: 'Release',
                kind: 'plain',
                run: () => release.mutate(worker),
              },
              (worker.quarantined_at === null || worker.leases.some(({ leaving }) => !leaving)) && {
                text: worker.quarantined_at === null ? 'Quarantine' : 'Drain',
                dialog: <QuarantineDialog worker={worker} />,
              },
            ],
          },
        ]}
      />
    </section>
  );
}

/** Describes the effect of a quarantine on the worker's jobs. Leases that are being drained have a badge instead. */
function drainText({ leases }: WorkerObject): string {
  if (leases.length === 0) return 'No jobs left. The process can be stopped.';
  return leases.some(({ leaving }) => leaving) ? '' : 'Finishing its running jobs.';
}

const maxLeases = 4;

/** The teams whose jobs a worker holds. The jobs themselves are not visible to the operator. */
function Leases({ worker: { leases, slots }, now }: { worker: WorkerObject; now: number }) {
  return (
    <>
      <span class="small soft">
        {count(leases.length)} of {counted(slots, 'slot')}
      </span>
      {leases.length > 0 && (
        <ul class="leases tight small">
          {leases.slice(0, maxLeases).map(({ team_id, team_name, lease_epoch, since, until, leaving }) => (
            <li key={`${team_id} ${lease_epoch} ${since}`}>
              <span class="cut" title={`${team_name}, lease epoch ${lease_epoch}`}>
                {team_name}, <Time at={since} />
              </span>
              {leaving && <Badge tone="wait">leaving at the next checkpoint</Badge>}
              {until < now && <Badge tone="bad">lease expired</Badge>}
            </li>
          ))}
          {leases.length > maxLeases && <li class="soft">and {count(leases.length - maxLeases)} more</li>}
        </ul>
      )}
    </>
  );
}

function WorkerStatus({ worker, now }: { worker: WorkerObject; now: number }) {
  if (worker.heartbeat_at < now - aliveSeconds) return <Badge tone="bad">not responding</Badge>;
  if (worker.quarantined_at !== null) return <Badge tone="bad">quarantined</Badge>;
  return worker.draining ? <Badge tone="wait">stopping</Badge> : <Badge tone="good">ready</Badge>;
}

function QuarantineDialog({ worker }: { worker: WorkerObject }) {
  const { field, values, ...form } = useForm({
    initial: {
      reason: worker.quarantine_reason ?? '',
      mode: (worker.quarantined_at === null ? 'finish' : 'drain') as 'finish' | 'drain',
    },
    run: ({ reason, mode }) =>
      graft.admin.workers.quarantine(worker.id, reason.trim(), { drain: mode === 'drain' }),
    invalidates,
    successMessage: ({ hostname }) => `The worker on ${hostname} no longer accepts jobs.`,
  });
  return (
    <FormDialog title="Quarantine worker" action="Quarantine" form={form}>
      <p class="wrap-anywhere">
        {worker.hostname} gets no jobs until it is released. Completions go to other workers, if there are
        any.
      </p>
      <TextField
        label="Reason"
        autofocus
        maxLength={500}
        hint="Shown in the list of workers."
        {...field('reason')}
      />
      <div class="tight">
        <Choice
          label="Running jobs"
          {...field('mode')}
          options={{ finish: 'Finish running jobs', drain: 'Drain' }}
        />
        <p class="small soft">
          {values.mode === 'finish'
            ? 'This may take as long as the longest job.'
            : 'Running jobs stop at a checkpoint and resume from it on another worker. This does not count as a lost attempt.'}
        </p>
      </div>
    </FormDialog>
  );
}
