import type { ComponentChildren } from 'preact';

/** A short label. The colour only repeats what the text says. */
export const Badge = ({
  tone = 'quiet',
  title,
  children,
}: {
  tone?: 'quiet' | 'good' | 'wait' | 'bad';
  title?: string;
  children: ComponentChildren;
}) => (
  <span class="badge" data-tone={tone} title={title}>
    {children}
  </span>
);
