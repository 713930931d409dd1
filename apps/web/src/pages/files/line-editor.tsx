import { useMemo } from 'preact/hooks';
import { Checkbox, TextArea } from '../../components/forms/field.tsx';
import { type CorrectableLine, maxLineBytes } from '../../data/correction/correction.ts';
import { bytes, count } from '../../text/numbers.ts';

/** An invalid line: its fault, its text, and whether it is left out. */
export function LineEditor({
  line,
  error,
  isBusy,
  onChange,
}: {
  line: CorrectableLine;
  /** What is wrong with the text. */
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
