import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import '../styles/components/disclosure.css';

/** What is shown when it is wanted. `needed` opens it, and what is open is closed by hand alone. */
export function Disclosure({
  summary,
  needed = false,
  children,
}: {
  summary: ComponentChildren;
  needed?: boolean;
  children: ComponentChildren;
}) {
  const [isOpen, setOpen] = useState(needed);
  useEffect(() => {
    if (needed) setOpen(true);
  }, [needed]);
  return (
    <details class="disclosure" open={isOpen} onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>{summary}</summary>
      {children}
    </details>
  );
}
