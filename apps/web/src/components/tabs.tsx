import '../styles/components/tabs.css';

interface TabsProps<T extends string> {
  label: string;
  value: T;
  onValue: (value: T) => void;
  tabs: readonly (readonly [value: T, text: string])[];
}

/** Parts of a page of which one is shown. Buttons in a row, for the parts stand in the address. */
export const Tabs = <T extends string>({ label, value, onValue, tabs }: TabsProps<T>) => (
  <nav class="tabs" aria-label={label}>
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
