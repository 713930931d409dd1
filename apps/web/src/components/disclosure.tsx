import type { ComponentChildren } from 'preact';
import { useEffect, useState } from 'preact/hooks';

/** Collapsible content. `needed` opens it; only the user closes it. */
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
