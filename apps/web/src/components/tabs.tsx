import '../styles/components/tabs.css';
import { useScrollIntoView } from './use-scroll-into-view.ts';

interface TabsProps<T extends string> {
  label: string;
  value: T;
  onValue: (value: T) => void;
  tabs: readonly (readonly [value: T, text: string])[];
}

/** Tabs as a row of buttons; the selected tab is in the URL. */
export function Tabs<T extends string>({ label, value, onValue, tabs }: TabsProps<T>) {
  const row = useScrollIntoView(value);
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
