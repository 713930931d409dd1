import { render } from 'preact';
import { App } from './app.tsx';

// Pages override components, which override the base. The build puts all into one file.
import.meta.glob('./styles/**/*.css', { eager: true });

// A tab opened before an upgrade requests files that no longer exist; a reloaded page has the new file names.
addEventListener('vite:preloadError', () => {
  // Offline, a reload would fail and lose the page's state.
  if (navigator.onLine) location.reload();
});

render(<App />, document.getElementById('app')!);
