import type { ComponentChildren, FunctionComponent } from 'preact';
import { Link, useParams } from 'wouter-preact';
import { useScrollIntoView } from './use-scroll-into-view.ts';

const Row = ({
  label,
  current,
  children,
}: {
  label: string;
  current: string;
  children: ComponentChildren;
}) => (
  <nav class="tabs" aria-label={label} ref={useScrollIntoView(current)}>
    {children}
  </nav>
);

interface TabsProps<T extends string> {
  label: string;
  value: T;
  onValue: (value: T) => void;
  tabs: readonly (readonly [value: T, text: string])[];
}

/** Tabs as a row of buttons; the selected tab is in the URL. */
export const Tabs = <T extends string>({ label, value, onValue, tabs }: TabsProps<T>) => (
  <Row label={label} current={value}>
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
  </Row>
);

/** A section of a page, at `/page/name`. */
export interface Section {
  /** Empty for the first. */
  name: string;
  text: string;
  Content: FunctionComponent;
  /** It has no link, but is shown at its URL. */
  isUnlisted?: boolean;
}

/** Links to the sections of the page at `path`, and the section of the current URL. */
export function Sections({
  label,
  path,
  sections,
}: {
  label: string;
  path: string;
  sections: readonly Section[];
}) {
  const { section = '' } = useParams<{ section?: string }>();
  const Shown = sections.find(({ name }) => name === section)?.Content;
  return (
    <>
      <Row label={label} current={section}>
        {sections
          .filter(({ isUnlisted }) => !isUnlisted)
          .map(({ name, text }) => (
            <Link
              key={name}
              href={name === '' ? path : `${path}/${name}`}
              aria-current={name === section ? 'page' : undefined}
            >
              {text}
            </Link>
          ))}
      </Row>
      {Shown && <Shown />}
    </>
  );
}
