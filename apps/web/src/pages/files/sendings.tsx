import { GraftApiError } from '@graft/client';
import { Link } from 'wouter-preact';
import '../../styles/components/sendings.css';
import { BadLines } from '../../components/bad-lines.tsx';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { wordsOf } from '../../components/problem.tsx';
import { forget, goOn, type Sending, stop, useSendings } from '../../data/uploads.ts';
import { bytes, count, counted, percent } from '../../text/numbers.ts';

/** Files on their way, with what became of them. */
export function Sendings() {
  const sendings = useSendings();
  if (sendings.length === 0) return null;
  return (
    <ul class="sendings" aria-label="Uploads">
      {sendings.map((sending) => (
        <li key={sending.id}>
          <Row {...sending} />
        </li>
      ))}
    </ul>
  );
}

function Row(sending: Sending) {
  const { id, name, state, file, error } = sending;
  const isUnderWay = state === 'sending' || state === 'waiting';
  return (
    <>
      <div class="sending">
        <strong class="cut" title={name}>
          {name}
        </strong>
        <span class="small soft" role="status">
          {words(sending)}
        </span>
        <span class="row">
          {isUnderWay && (
            <Button small kind="quiet" icon="pause" onClick={() => stop(id)}>
              Stop
            </Button>
          )}
          {state === 'stopped' && (
            <Button small icon="play" onClick={() => goOn(id)}>
              Go on
            </Button>
          )}
          {file && <Link href={`/files/${file.id}`}>Look at it</Link>}
          {!isUnderWay && state !== 'checking' && (
            <IconButton
              label={state === 'stopped' ? `Discard ${name}` : `Dismiss ${name}`}
              icon="close"
              small
              onClick={() => forget(id)}
            />
          )}
        </span>
      </div>
      {(isUnderWay || state === 'checking' || state === 'stopped') && (
        <Meter value={sending.bytes === 0 ? 0 : sending.sent / sending.bytes} label={`Upload of ${name}`} />
      )}
      {error !== null && <Refusal name={name} error={error} />}
    </>
  );
}

function words({ state, sent, bytes: all, file }: Sending): string {
  const share = `${percent(all === 0 ? 0 : sent / all)} of ${bytes(all)}`;
  switch (state) {
    case 'waiting':
      return `Waits · ${bytes(all)}`;
    case 'sending':
      return share;
    case 'checking':
      return 'All there; its lines are checked';
    case 'stopped':
      return `Stopped at ${share}`;
    case 'refused':
      return 'Not taken';
    case 'done':
      return `Ready · ${counted(file?.examples, 'example')}`;
  }
}

function Refusal({ name, error }: { name: string; error: unknown }) {
  const lines = error instanceof GraftApiError ? error.details.filter(({ line }) => line !== undefined) : [];
  if (lines.length === 0) {
    const { text, requestId } = wordsOf(error);
    return (
      <p class="field-error" role="alert">
        {text} {requestId && <span class="small soft">Request {requestId}</span>}
      </p>
    );
  }
  // The message says at its end how many there are, where there are more different faults than the details have.
  const total = Number(
    /(\d+) bad lines in all$/.exec((error as Error).message)?.[1] ??
      lines.reduce((sum, { count = 1 }) => sum + count, 0),
  );
  return (
    <>
      <p role="alert">
        {total === 1 ? 'One line cannot be used' : `${count(total)} lines cannot be used`}: mend them, and
        upload the file again.
      </p>
      <BadLines label={`Bad lines of ${name}`} lines={lines} total={total} />
    </>
  );
}
