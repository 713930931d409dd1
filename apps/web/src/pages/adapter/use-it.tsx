import type { AdapterVersion } from '@graft/client';
import { CodeBlock } from '../../components/code-block.tsx';
import { Select } from '../../components/forms/field.tsx';
import { useQueryState } from '../../router/query-state.ts';
import { codeFor } from './runtime-code.ts';

/** How the version is used in each runtime that takes it. */
export function UseIt({ version }: { version: AdapterVersion }) {
  const [{ runtime }, set] = useQueryState({ runtime: '' });
  const shown = version.runtimes.includes(runtime) ? runtime : version.runtimes[0]!;
  return (
    <>
      <Select
        label="In"
        value={shown}
        onValue={(runtime) => set({ runtime })}
        options={version.runtimes.map((each) => [each, each] as const)}
        hint="These take its files as they are."
      />
      <CodeBlock label={`Code for ${shown}`} text={codeFor(shown, version, location.origin)} />
    </>
  );
}
