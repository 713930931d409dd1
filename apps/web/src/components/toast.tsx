import { useEffect, useState } from 'preact/hooks';
import '../styles/components/toast.css';
import { Button, IconButton } from './forms/button.tsx';
import { wordsOf } from './problem.tsx';

interface Toast {
  id: number;
  text: string;
  isError: boolean;
  /** What takes it back, or leads on. */
  action: { label: string; run: () => unknown } | null;
}

const shownMs = 8_000;
let toasts: readonly Toast[] = [];
let nextId = 1;
let show: (toasts: readonly Toast[]) => void = () => {};

function change(after: readonly Toast[]): void {
  toasts = after;
  show(after);
}

const dismiss = (id: number) => change(toasts.filter((toast) => toast.id !== id));

/** Says what was done. It goes by itself, an error or one with an action only by hand or after the time to act. */
export function toast(text: string, action: Toast['action'] = null): void {
  add({ text, isError: false, action });
}

export function toastError(error: unknown): void {
  const { text, requestId } = wordsOf(error);
  add({ text: requestId ? `${text} (request ${requestId})` : text, isError: true, action: null });
}

function add(fields: Omit<Toast, 'id'>): void {
  const id = nextId++;
  // Three tell enough; the oldest goes.
  change([...toasts.slice(-2), { id, ...fields }]);
  if (!fields.isError) setTimeout(() => dismiss(id), shownMs);
}

/** Where they are shown, once on the page; readers are told of each. */
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
