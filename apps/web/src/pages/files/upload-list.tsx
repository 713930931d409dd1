import type { GraftApiError } from '@graft/client';
import { useEffect, useState } from 'preact/hooks';
import { Link } from 'wouter-preact';
import { Button, IconButton } from '../../components/forms/button.tsx';
import { InvalidLines } from '../../components/invalid-lines.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { describeError } from '../../components/problem.tsx';
import { isCompressed } from '../../data/correction/corrected-copy.ts';
import {
  discardUpload,
  resumeUpload,
  stopUpload,
  type Upload,
  uploadedSource,
  useUploads,
} from '../../data/uploads.ts';
import { bytes, count, counted, percent } from '../../text/numbers.ts';
import { CorrectLines, OtherKindHint } from './correct-lines.tsx';
import { lineFaultsOf } from './use-correction.ts';

export function UploadList() {
  const uploads = useUploads();
  if (uploads.length === 0) return null;
  return (
    <ul class="upload-list panel short-tables" aria-label="Uploads">
      {uploads.map((upload) => (
        <li key={upload.id} class="card tight">
          <Row {...upload} />
        </li>
      ))}
    </ul>
  );
}

function Row(upload: Upload) {
  const { id, name, state, file, error } = upload;
  const isActive = state === 'uploading' || state === 'waiting';
  return (
    <>
      <div class="upload row">
        <strong class="cut" title={name}>
          {name}
        </strong>
        <span class="small soft" role="status">
          {statusText(upload)}
        </span>
        <span class="row">
          {isActive && (
            <Button small kind="quiet" icon="pause" onClick={() => stopUpload(id)}>
              Pause
            </Button>
          )}
          {state === 'stopped' && (
            <Button small icon="play" onClick={() => resumeUpload(id)}>
              Resume
            </Button>
          )}
          {file && <Link href={`/files/${file.id}`}>Open</Link>}
          {!isActive && state !== 'checking' && (
            <IconButton
              label={state === 'stopped' ? `Discard ${name}` : `Dismiss ${name}`}
              icon="close"
              small
              onClick={() => discardUpload(id)}
            />
          )}
        </span>
      </div>
      {(isActive || state === 'checking' || state === 'stopped') && (
        <Meter value={upload.bytes === 0 ? 0 : upload.sent / upload.bytes} label={`Upload of ${name}`} />
      )}
      {error !== null && <UploadError id={id} name={name} error={error} />}
    </>
  );
}

function statusText({ state, sent, bytes: total, file }: Upload): string {
  const progress = `${percent(total === 0 ? 0 : sent / total)} of ${bytes(total)}`;
  switch (state) {
    case 'waiting':
      return `Waiting · ${bytes(total)}`;
    case 'uploading':
      return progress;
    case 'checking':
      return 'Uploaded · Validating';
    case 'stopped':
      return `Paused at ${progress}`;
    case 'refused':
      return 'Rejected';
    case 'done':
      return `Ready · ${counted(file?.examples, 'example')}`;
  }
}

function UploadError({ id, name, error }: { id: number; name: string; error: unknown }) {
  const { faults, total } = lineFaultsOf(error);
  if (faults.length === 0) {
    const { text, requestId } = describeError(error);
    return (
      <p class="field-error" role="alert">
        {text} {requestId && <span class="small soft">Request {requestId}</span>}
      </p>
    );
  }
  return (
    <>
      <p role="alert">
        {total === 1 ? '1 line is invalid' : `${count(total)} lines are invalid`}. Correct the file and upload
        it again.
      </p>
      <InvalidLines label={`Invalid lines of ${name}`} lines={faults} total={total} />
      <Correct id={id} name={name} error={error as GraftApiError} />
    </>
  );
}

/** Corrects the lines of a rejected file, if it has lines that can be edited. */
function Correct({ id, name, error }: { id: number; name: string; error: GraftApiError }) {
  const { source, options } = uploadedSource(id) ?? {};
  const [isPacked, setIsPacked] = useState<boolean | null>(null);
  useEffect(() => {
    // A file that cannot be read any more gets the button, whose dialog says so.
    if (source) void isCompressed(source).then(setIsPacked, () => setIsPacked(false));
  }, [source]);
  if (!source || isPacked === null) return null;
  // The API counts rows of tables and items of arrays, and lines of JSON Lines only.
  if (isPacked || !error.message.startsWith('line ')) return <OtherKindHint isCompressed={isPacked} />;
  const { columns, onDone } = options ?? {};
  const read = async () => source;
  return (
    <div>
      <CorrectLines name={name} columns={columns} read={read} onDone={onDone} {...lineFaultsOf(error)} />
    </div>
  );
}
