import { Disclosure } from '../../components/disclosure.tsx';
import { IconButton } from '../../components/forms/button.tsx';
import { Checkbox, Choice, TextArea, TextField } from '../../components/forms/field.tsx';
import { type parseSampling, randomSeed, type SamplingText } from './sampling.ts';
import type { Mode } from './texts/texts.ts';

interface SettingsProps {
  text: SamplingText;
  faults: ReturnType<typeof parseSampling>['faults'];
  mode: Mode;
  probabilities: boolean;
  onChange: (changes: Partial<SamplingText & { kind: string; probabilities: string }>) => void;
}

/** Mode and sampling options. The collapsed section shows a summary. */
export function Settings({ text, faults, mode, probabilities, onChange }: SettingsProps) {
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
  const writes = mode === 'chat' || mode === 'text';
  const { temperature, top_p, max_tokens, seed } = text;
  return (
    <div class="playground-settings panel">
      <div class="row">
        <Choice
          label="Mode"
          value={mode}
          onValue={(kind) => onChange({ kind })}
          options={{ chat: 'Chat', text: 'Completion', embeddings: 'Embeddings', classes: 'Classes' }}
        />
        {writes && (
          <Checkbox
            label="Show token probabilities"
            checked={probabilities}
            onChecked={(on) => onChange({ probabilities: on ? 'yes' : '' })}
          />
        )}
      </div>
      {writes && (
        <Disclosure
          needed={Object.keys(faults).length > 0}
          summary={
            <>
              Sampling{' '}
              <span class="soft small">
                temperature {temperature}, top-p {top_p}, max tokens {max_tokens}, seed {seed}
              </span>
            </>
          }
        >
          <div class="playground-sampling">
            {field('temperature', 'Temperature', '0: always the most likely token')}
            {field('top_p', 'Top-p', 'Cumulative probability')}
            {field('max_tokens', 'Max tokens', 'Per answer')}
            <div class="playground-seed">
              {field('seed', 'Seed', 'Same for both models')}
              <IconButton
                label="Random seed"
                icon="refresh"
                onClick={() => onChange({ seed: randomSeed() })}
              />
            </div>
            <TextArea
              label="Stop sequences"
              rows={1}
              hint="One per line"
              value={text.stop}
              error={faults.stop}
              onValue={(stop) => onChange({ stop })}
            />
          </div>
        </Disclosure>
      )}
    </div>
  );
}
