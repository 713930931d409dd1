import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef } from 'preact/hooks';
import { IconButton } from './forms/button.tsx';

/** A modal dialog, open while mounted. Escape and a click on the backdrop close it. */
export function Dialog({
  title,
  wide = false,
  children,
  onClose,
}: {
  title: string;
  /** For contents that need the width of a page. */
  wide?: boolean;
  children: ComponentChildren;
  onClose: () => void;
}) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => ref.current!.showModal(), []);
  const onBackdrop: JSX.MouseEventHandler<HTMLDialogElement> = (event) => {
    if (event.target === ref.current) onClose();
  };
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape closes it by keyboard
    <dialog
      ref={ref}
      class="dialog card"
      data-wide={wide}
      aria-labelledby={id}
      onClose={onClose}
      onClick={onBackdrop}
    >
      <div class="dialog-body stack">
        <header class="between">
          <h2 id={id}>{title}</h2>
          <IconButton label="Close" icon="close" small onClick={onClose} />
        </header>
        {children}
      </div>
    </dialog>
  );
}
