import type { WorkerObject } from '@graft/client';
import { useState } from 'preact/hooks';
import { Badge } from '../../components/badge.tsx';
import { Empty } from '../../components/empty.tsx';
import { Button } from '../../components/forms/button.tsx';
import { Choice, TextField } from '../../components/forms/field.tsx';
import { FormDialog } from '../../components/forms/form.tsx';
import { Listing } from '../../components/lists/listing.tsx';
import { Time, useNow } from '../../components/time.tsx';
import { faultOf, restOf, useAction } from '../../data/action.ts';
import { graft } from '../../data/graft.ts';
import { bytes, count, counted, measure } from '../../text/numbers.ts';
import { useWorkers } from './reads.ts';
import { stateOf, WorkerBadge } from './worker-state.tsx';

const touches = [['workers'], ['queue']];

/** The machines: what they have, what they hold, and whether they get more. */
export function Workers() {
  const now = useNow();
  const workers = useWorkers();
  const [leaving, setLeaving] = useState<WorkerObject | null>(null);
  const release = useAction({
    run: ({ id }: WorkerObject) => graft.admin.workers.release(id),
    touches,
    said: ({ hostname }) => `The worker on ${hostname} gets jobs again.`,
  });
  return (
    <section class="section">
      <Listing
        pages={workers}
        label="Workers"
        minWidth="61rem"
        empty={
          <Empty title="No workers">
            <p>
              A worker trains jobs and answers completions. Start one beside the API, or on any machine that
              reaches its database and files, with <code>npm run start:worker</code>.
            </p>
          </Empty>
        }
        columns={[
          {
            head: 'Worker',
            names: true,
            cell: ({ id, hostname, version }) => (
              <>
                <span class="cut" title={hostname}>
                  {hostname}
                </span>
                <code class="cut small soft" title={id}>
                  {id}
                </code>
                <span class="cut small soft" title={version ?? undefined}>
                  {version === null ? 'version not told' : version}
                </span>
              </>
            ),
          },
          {
            head: 'Device',
            width: '10rem',
            cell: ({ device, gpus, memory_bytes, threads, flops }) => (
              <>
                <span>
                  {device?.toUpperCase() ?? 'not told'}, {bytes(memory_bytes)}
                </span>
                {gpus?.map((model) => (
                  <div class="cut small soft" title={model} key={model}>
                    {model}
                  </div>
                ))}
                {threads !== null && <div class="small soft">{counted(threads, 'thread')}</div>}
                {flops?.fp32 !== undefined && (
                  <div class="small soft">{measure(flops.fp32 / 1e12)} TFLOP/s</div>
                )}
              </>
            ),
          },
          {
            head: 'Leases',
            width: '12rem',
            cell: (worker) => <Leases of={worker} now={now} />,
          },
          {
            head: 'Serves',
            width: '9rem',
            cell: ({ base_models, load }) => (
              <>
                <span class="cut small" title={base_models.join(', ') || undefined}>
                  {base_models.join(', ') || 'nothing yet'}
                </span>
                {load > 0 && <span class="small soft">{counted(load, 'answer')} under way</span>}
              </>
            ),
          },
          {
            head: 'State',
            width: '11rem',
            cell: (worker) => (
              <>
                <WorkerBadge state={stateOf(worker, now)} />{' '}
                <span class="small soft">
                  <Time at={worker.heartbeat_at} />
                </span>
                {worker.quarantine_reason !== null && (
                  <div class="cut small soft" title={worker.quarantine_reason}>
                    {worker.quarantine_reason}
                  </div>
                )}
                {worker.gpu_faults.map((fault) => (
                  <div class="cut small soft" title={fault} key={fault}>
                    {fault}
                  </div>
                ))}
                {worker.quarantined_at !== null && <div class="small soft">{comingOf(worker)}</div>}
                {worker.consecutive_faults > 0 && (
                  <div class="small soft">{counted(worker.consecutive_faults, 'fault')} in a row</div>
                )}
              </>
            ),
          },
          {
            head: <span class="visually-hidden">Actions</span>,
            width: '9rem',
            end: true,
            cell: (worker) => (
              <span class="row end">
                {worker.gpu_faults.map((fault) => (
                  <div class="cut small soft" title={fault} key={fault}>
                    {fault}
                  </div>
                ))}
                {worker.quarantined_at !== null && (
                  <Button small onClick={() => release.mutate(worker)}>
                    Release
                  </Button>
                )}
                {(worker.quarantined_at === null || worker.leases.some(({ leaving }) => !leaving)) && (
                  <Button small kind="quiet" onClick={() => setLeaving(worker)}>
                    {worker.quarantined_at === null ? 'Take out' : 'Drain'}
                  </Button>
                )}
              </span>
            ),
          },
        ]}
      />
      {leaving && <TakeOut worker={leaving} onClose={() => setLeaving(null)} />}
    </section>
  );
}

/** What becomes of one that is out of service; of leases that leave each says so. */
function comingOf({ leases }: WorkerObject): string {
  if (leases.length === 0) return 'It holds no job: its process can be stopped.';
  return leases.some(({ leaving }) => leaving) ? '' : 'It finishes what it runs.';
}

/** That are told of one worker. */
const mostLeases = 4;

/** Whose jobs it holds. Which they are is their teams' to know. */
function Leases({ of: { leases, slots }, now }: { of: WorkerObject; now: number }) {
  return (
    <>
      <span class="small soft">
        {count(leases.length)} of {counted(slots, 'slot')}
      </span>
      {leases.length > 0 && (
        <ul class="leases small">
          {leases.slice(0, mostLeases).map(({ team_id, team_name, lease_epoch, since, until, leaving }) => (
            <li key={`${team_id} ${lease_epoch} ${since}`}>
              <span class="cut" title={`${team_name}, lease epoch ${lease_epoch}`}>
                {team_name}, <Time at={since} />
              </span>
              {leaving && <Badge tone="wait">leaves at a checkpoint</Badge>}
              {until < now && <Badge tone="bad">lease has run out</Badge>}
            </li>
          ))}
          {leases.length > mostLeases && <li class="soft">and {count(leases.length - mostLeases)} more</li>}
        </ul>
      )}
    </>
  );
}

function TakeOut({ worker, onClose }: { worker: WorkerObject; onClose: () => void }) {
  const [reason, setReason] = useState(worker.quarantine_reason ?? '');
  const [how, setHow] = useState<'finish' | 'drain'>(worker.quarantined_at === null ? 'finish' : 'drain');
  const take = useAction({
    run: (form: { reason: string; drain: boolean }) =>
      graft.admin.workers.quarantine(worker.id, form.reason, { drain: form.drain }),
    touches,
    quiet: true,
    said: ({ hostname }) => `The worker on ${hostname} gets no jobs any more.`,
    onDone: onClose,
  });
  return (
    <FormDialog
      title="Take the worker out of service"
      action="Take it out"
      busy={take.isPending}
      error={restOf(take.error, ['reason'])}
      onSubmit={() => take.mutate({ reason: reason.trim(), drain: how === 'drain' })}
      onClose={onClose}
    >
      <p class="words">
        {worker.hostname} gets no jobs until it is released. Completions go to others where there are some.
      </p>
      <TextField
        label="Why?"
        autofocus
        maxLength={500}
        value={reason}
        onValue={setReason}
        error={faultOf(take.error, 'reason')}
        hint="For others who look at this list."
      />
      <div class="stack-s">
        <Choice
          label="What it runs"
          value={how}
          onValue={setHow}
          options={[
            ['finish', 'It finishes what it runs'],
            ['drain', 'Drain it'],
          ]}
        />
        <p class="small soft">
          {how === 'finish'
            ? 'That may take as long as its longest job.'
            : 'What it runs stops at a checkpoint and goes on from there on another worker, at no attempt.'}
        </p>
      </div>
    </FormDialog>
  );
}
