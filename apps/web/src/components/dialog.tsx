import { type ComponentChildren, createContext, type JSX } from 'preact';
import { useContext, useEffect, useId, useRef } from 'preact/hooks';
import { IconButton } from './forms/button.tsx';

const Closing = createContext<() => void>(() => {});

/** Provides the `onClose` of a dialog to the components in it. */
export const Opened = ({ onClose, children }: { onClose: () => void; children: ComponentChildren }) => (
  <Closing.Provider value={onClose}>{children}</Closing.Provider>
);

/** Returns what closes the dialog that a component is in. Outside of dialogs it does nothing. */
export const useClose = (): (() => void) => useContext(Closing);

interface DialogProps {
  title: string;
  /** For contents that need the width of a page. */
  wide?: boolean;
  children: ComponentChildren;
}

/** A modal dialog, open while mounted, in `<Opened>`. Escape and a click on the backdrop close it. */
export function Dialog({ title, wide = false, children }: DialogProps) {
  const onClose = useClose();
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
