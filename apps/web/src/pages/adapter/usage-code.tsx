import type { AdapterVersion } from '@graft/client';
import { CodeBlock } from '../../components/code-block.tsx';
import { Select } from '../../components/forms/field.tsx';
import { useModels } from '../../data/models.ts';
import { useQueryState } from '../../router/query-state.ts';
import { codeFor, codeNames } from './runtime-code.ts';

export function UsageCode({ version }: { version: AdapterVersion }) {
  const [{ runtime }, , field] = useQueryState({ runtime: '' });
  const { data: models = [] } = useModels();
  const hub = models.find(({ id }) => id === version.base_model)?.hub ?? null;
  const names = codeNames(version);
  const shown = names.find((name) => name === runtime) ?? names[0]!;
  return (
    <>
      <Select
        label="Runtime"
        {...field('runtime')}
        value={shown}
        options={names}
        hint="These runtimes load the adapter's files directly."
      />
      <CodeBlock
        label={`Code for ${shown}`}
        text={codeFor(shown, { version, hub, origin: location.origin })}
      />
      {version.system_prompt !== null && (
        <p class="small soft">
          The code includes the system prompt of the training data. Answers differ without it.
        </p>
      )}
    </>
  );
}
