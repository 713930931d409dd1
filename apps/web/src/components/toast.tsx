import { Button, IconButton } from './forms/button.tsx';
import { describeError } from './problem.tsx';
import { createStore } from './store.ts';

interface Toast {
  id: number;
  text: string;
  isError: boolean;
  action: { label: string; run: () => unknown } | null;
}

const shownMs = 8_000;
const toasts = createStore<readonly Toast[]>([]);
let nextId = 1;

const dismiss = (id: number) => toasts.set(toasts.get().filter((toast) => toast.id !== id));

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
  toasts.set([...toasts.get().slice(-2), { id, ...fields }]);
  if (!fields.isError) setTimeout(() => dismiss(id), shownMs);
}

/** The list of toasts, once per page. Screen readers announce each. */
export function Toasts() {
  return (
    <div class="toasts tight" role="status" aria-live="polite">
      {toasts.use().map(({ id, text, isError, action }) => (
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
