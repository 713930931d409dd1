import { toast, toastError } from '../toast.tsx';
import { Button } from './button.tsx';

export function CopyButton({ text, label = 'Copy' }: { text: string; label?: string }) {
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      toast('Copied.');
    } catch {
      // Browsers block the clipboard on http pages of other hosts.
      toastError(new Error('The browser blocks the clipboard here. Select the text and copy it.'));
    }
  };
  return (
    <Button kind="quiet" small icon="copy" onClick={copy}>
      {label}
    </Button>
  );
}
