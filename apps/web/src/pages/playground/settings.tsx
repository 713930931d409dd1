import { Disclosure } from '../../components/disclosure.tsx';
import { IconButton } from '../../components/forms/button.tsx';
import { Checkbox, Choice, TextArea, TextField } from '../../components/forms/field.tsx';
import { anySeed, type parseSampling, type SamplingText } from './sampling.ts';
import type { Kind } from './talk.ts';

/** How answers are drawn. Closed, one line says it. */
export function Settings({
  text,
  faults,
  kind,
  probabilities,
  onChange,
}: {
  text: SamplingText;
  faults: ReturnType<typeof parseSampling>['faults'];
  kind: Kind;
  probabilities: boolean;
  onChange: (changes: Partial<SamplingText & { kind: string; probabilities: string }>) => void;
}) {
  const field = (name: Exclude<keyof SamplingText, 'stop'>, label: string, hint: string) => (
    <TextField
      label={label}
      inputMode="decimal"
      autocomplete="off"
      value={text[name]}
      hint={hint}
      error={faults[name]}
      onValue={(value) => onChange({ [name]: value })}
    />
  );
  const { temperature, top_p, max_tokens, seed } = text;
  return (
    <div class="playground-settings">
      <div class="row">
        <Choice
          label="What is asked"
          value={kind}
          onValue={(kind) => onChange({ kind })}
          options={[
            ['chat', 'Chat'],
            ['text', 'Plain text'],
          ]}
        />
        <Checkbox
          label="Probabilities of tokens"
          checked={probabilities}
          onChecked={(on) => onChange({ probabilities: on ? 'yes' : '' })}
        />
      </div>
      <Disclosure
        needed={Object.keys(faults).length > 0}
        summary={
          <>
            Sampling{' '}
            <span class="soft small">
              temperature {temperature}, top-p {top_p}, {max_tokens} tokens at most, seed {seed}
            </span>
          </>
        }
      >
        <div class="playground-sampling">
          {field('temperature', 'Temperature', '0 takes the most probable token')}
          {field('top_p', 'Top-p', 'Share of probability')}
          {field('max_tokens', 'Tokens at most', 'Of an answer')}
          <div class="playground-seed">
            {field('seed', 'Seed', 'The same for both')}
            <IconButton label="Another seed" icon="refresh" onClick={() => onChange({ seed: anySeed() })} />
          </div>
          <TextArea
            label="Stop at"
            rows={1}
            hint="A text in each line"
            value={text.stop}
            error={faults.stop}
            onValue={(stop) => onChange({ stop })}
          />
        </div>
      </Disclosure>
    </div>
  );
}
