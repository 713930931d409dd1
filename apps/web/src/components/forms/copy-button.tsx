import { toast, toastError } from '../toast.tsx';
import { Button } from './button.tsx';

/** Puts a text on the clipboard, and says so. */
export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast('Copied.');
    } catch {
      // Browsers give no clipboard to pages of plain http that are not of this machine.
      toastError(new Error('This page may not use the clipboard: select the text and copy it.'));
    }
  };
  return (
    <Button kind="quiet" small icon="copy" onClick={copy}>
      {label}
    </Button>
  );
}
