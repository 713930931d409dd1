import { useEffect, useMemo, useRef } from 'preact/hooks';
import { Dialog, Opened } from '../../components/dialog.tsx';
import { Button } from '../../components/forms/button.tsx';
import { Checkbox, TextArea, TextField } from '../../components/forms/field.tsx';
import { linesText } from '../../components/invalid-lines.tsx';
import { Meter } from '../../components/lists/meter.tsx';
import { Problem } from '../../components/problem.tsx';
import { type CorrectableLine, type Correction, maxLineBytes } from '../../data/correction/correction.ts';
import type { LineBytes } from '../../data/correction/line-bytes.ts';
import { bytes, count, counted } from '../../text/numbers.ts';
import { type InvalidFile, useCorrection } from './use-correction.ts';

/** A button with a dialog in which the invalid lines of a JSON Lines file are corrected. The copy is a new file. */
export function CorrectLines(file: InvalidFile) {
  const state = useCorrection(file);
  return (
    <>
      <Button small onClick={state.open}>
        Correct lines…
      </Button>
      {state.isOpen && (
        <Opened onClose={state.close}>
          <Dialog wide title={`Correct invalid lines of ${file.name}`}>
            <p class="soft wrap-anywhere">
              Edit each line as one JSON object, or leave it out. The corrected copy is saved as a new file,
              and {file.name} stays as it is.
            </p>
            {state.correction ? (
              <Editor {...state} correction={state.correction} />
            ) : state.isReading ? (
              <Meter value={state.share} label={`Reading ${file.name}`} />
            ) : (
              state.error != null && <Problem error={state.error} onRetry={state.reload} />
            )}
          </Dialog>
        </Opened>
      )}
    </>
  );
}

function Editor({
  correction,
  isReading,
  error,
  faultsOfTexts,
  wasRefused,
  attempts,
  name,
  setName,
  upload,
  close,
  changeLine,
  leaveOutRest,
  leaveOutAll,
  save,
  resume,
}: Omit<ReturnType<typeof useCorrection>, 'correction'> & { correction: Correction }) {
  const { lines, rest, isRestLeftOut, removed, unlisted } = correction;
  const isSending = upload !== undefined;
  const isBusy = isReading || isSending;
  const hasEdits = lines.some(({ edited, isLeftOut }) => edited !== null && !isLeftOut);
  const isDone =
    (rest.length === 0 || isRestLeftOut) && lines.every((each) => each.isLeftOut || each.edited !== null);
  const form = useRef<HTMLFormElement>(null);
  useEffect(() => {
    if (attempts > 0) form.current!.querySelector<HTMLElement>('[aria-invalid="true"]')?.focus();
  }, [attempts]);
  const submit = (event: Event) => {
    event.preventDefault();
    // The dialog may be within the form of a new job, which must not be submitted.
    event.stopPropagation();
    void save();
  };
  return (
    <form ref={form} class="stack" onSubmit={submit} noValidate>
      <div>
        <Button small disabled={isBusy || isDone} onClick={leaveOutAll}>
          {hasEdits ? 'Leave out all other invalid lines' : 'Leave out all invalid lines'}
        </Button>
      </div>
      <ul class="line-editors stack" aria-label="Invalid lines">
        {lines.map((line) => (
          <LineEditor
            key={line.number}
            line={line}
            error={faultsOfTexts.get(line.number)}
            isBusy={isBusy}
            onChange={changeLine}
          />
        ))}
      </ul>
      {rest.length > 0 && (
        <Checkbox
          label={`Leave out ${counted(lineCount(rest), 'more invalid line')}: ${rangesText(rest)}`}
          checked={isRestLeftOut}
          onChecked={(isOut) => !isBusy && leaveOutRest(isOut)}
        />
      )}
      {removed.length > 0 && (
        <p class="soft">
          {counted(lineCount(removed), 'other line')} left out: {rangesText(removed)}
        </p>
      )}
      {unlisted > 0 && (
        <p class="soft">
          {count(unlisted)} more {unlisted === 1 ? 'line is' : 'lines are'} invalid and not listed. They are
          listed here once the others are corrected or left out, and the copy is saved.
        </p>
      )}
      <TextField
        label="Name of the new file"
        maxLength={255}
        value={name}
        error={name.trim() === '' ? 'Enter a name.' : null}
        onValue={setName}
      />
      {upload && upload.state !== 'stopped' && (
        <Meter value={upload.bytes === 0 ? 0 : upload.sent / upload.bytes} label={`Upload of ${name}`} />
      )}
      {wasRefused && !isBusy && faultsOfTexts.size === 0 && (
        <p class="field-error" role="alert">
          The copy still has invalid lines and was not saved. Your changes are kept; see the messages at the
          lines.
        </p>
      )}
      {faultsOfTexts.size > 0 && (
        <p class="field-error" role="alert">
          {counted(faultsOfTexts.size, 'line')} cannot be saved yet. See the messages at the lines.
        </p>
      )}
      {upload?.state === 'stopped' ? (
        <Problem error={upload.error ?? new Error('The upload is paused.')} onRetry={resume} retry="Resume" />
      ) : (
        error != null && <Problem error={error} />
      )}
      <footer class="row dialog-actions">
        <Button onClick={close}>Close</Button>
        <Button kind="main" type="submit" busy={isBusy}>
          Save as new file
        </Button>
      </footer>
    </form>
  );
}

const lineCount = (places: readonly LineBytes[]): number =>
  places.reduce((sum, { first, last }) => sum + last - first + 1, 0);

const rangesText = (places: readonly LineBytes[]): string =>
  linesText(
    { message: '', count: lineCount(places), lines: places.map(({ first, last }) => [first, last]) },
    false,
  );

/** Advice for the invalid rows of a file that the dialog cannot correct. */
export const OtherKindHint = ({ isCompressed }: { isCompressed: boolean }) => (
  <p class="soft">
    {isCompressed
      ? 'Lines of a compressed file cannot be corrected here. Decompress the file and upload it again'
      : 'Only lines of JSON Lines files can be corrected here. Correct the rows in the program that wrote the file, and upload it again'}
    , or upload the file with <em>Options: Invalid lines: Accept the file</em>, and let jobs leave them out.
  </p>
);

/** An invalid line: its fault, its text, and whether it is left out. */
function LineEditor({
  line,
  error,
  isBusy,
  onChange,
}: {
  line: CorrectableLine;
  error: string | undefined;
  isBusy: boolean;
  /** Must stay the same function, so that a change of one line does not render all. */
  onChange: (number: number, changes: { edited?: string; isLeftOut?: boolean }) => void;
}) {
  return useMemo(() => {
    const { number, fault, text, edited, isTooLong, isLeftOut, place } = line;
    const size = `Has ${bytes(place.textEnd - place.start)}, and at most ${bytes(maxLineBytes)} can be edited: this is the beginning. Leave the line out, or correct it on your machine.`;
    const hint = [fault, isTooLong && size].filter(Boolean).join('. ');
    return (
      <li class="line-editor tight" data-out={isLeftOut}>
        <TextArea
          label={`Line ${count(number)}`}
          hint={hint}
          error={isLeftOut ? null : error}
          rows={3}
          spellcheck={false}
          readOnly={isTooLong || isBusy}
          disabled={isLeftOut}
          value={isTooLong ? `${text}…` : (edited ?? text)}
          // A copied line often ends with a line break.
          onValue={(value) => onChange(number, { edited: value.replace(/[\r\n]+$/, '') })}
        />
        <Checkbox
          label={
            <span>
              Leave out <span class="visually-hidden">line {count(number)}</span>
            </span>
          }
          checked={isLeftOut}
          onChecked={(isOut) => !isBusy && onChange(number, { isLeftOut: isOut })}
        />
      </li>
    );
  }, [line, error, isBusy, onChange]);
}
