import '../styles/components/tabs.css';
import { useCurrentInSight } from './current-in-sight.ts';

interface TabsProps<T extends string> {
  label: string;
  value: T;
  onValue: (value: T) => void;
  tabs: readonly (readonly [value: T, text: string])[];
}

/** Parts of a page of which one is shown. Buttons in a row, for the parts stand in the address. */
export function Tabs<T extends string>({ label, value, onValue, tabs }: TabsProps<T>) {
  const row = useCurrentInSight(value);
  return (
    <nav class="tabs" aria-label={label} ref={row}>
      {tabs.map(([each, text]) => (
        <button
          key={each}
          type="button"
          aria-current={each === value ? 'true' : undefined}
          onClick={() => onValue(each)}
        >
          {text}
        </button>
      ))}
    </nav>
  );
}
