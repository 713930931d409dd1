import { useEffect, useState } from 'preact/hooks';
import '../styles/components/toast.css';
import { Button, IconButton } from './forms/button.tsx';
import { describeError } from './problem.tsx';

interface Toast {
  id: number;
  text: string;
  isError: boolean;
  /** A button, such as Undo. */
  action: { label: string; run: () => unknown } | null;
}

const shownMs = 8_000;
let toasts: readonly Toast[] = [];
let nextId = 1;
let show: (toasts: readonly Toast[]) => void = () => {};

function change(next: readonly Toast[]): void {
  toasts = next;
  show(next);
}

const dismiss = (id: number) => change(toasts.filter((toast) => toast.id !== id));

/** Shows a message for some seconds. Errors stay until they are dismissed. */
export function toast(text: string, action: Toast['action'] = null): void {
  add({ text, isError: false, action });
}

export function toastError(error: unknown): void {
  const { text, requestId } = describeError(error);
  add({ text: requestId ? `${text} (request ${requestId})` : text, isError: true, action: null });
}

function add(fields: Omit<Toast, 'id'>): void {
  const id = nextId++;
  // At most three toasts; the oldest is removed.
  change([...toasts.slice(-2), { id, ...fields }]);
  if (!fields.isError) setTimeout(() => dismiss(id), shownMs);
}

/** The list of toasts, once per page. Screen readers announce each. */
export function Toasts() {
  const [shown, setShown] = useState(toasts);
  useEffect(() => {
    show = setShown;
    return () => {
      show = () => {};
    };
  }, []);
  return (
    <div class="toasts" role="status" aria-live="polite">
      {shown.map(({ id, text, isError, action }) => (
        <div key={id} class="toast" data-error={isError}>
          <span>{text}</span>
          {action && (
            <Button
              small
              onClick={() => {
                dismiss(id);
                action.run();
              }}
            >
              {action.label}
            </Button>
          )}
          <IconButton label="Dismiss" icon="close" small onClick={() => dismiss(id)} />
        </div>
      ))}
    </div>
  );
}
