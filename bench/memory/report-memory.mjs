// Loaded into the API process of bench:memory, whose Node has --expose-gc: answers how much memory is in use once all garbage is gone.
process.on('message', (message) => {
  if (message !== 'memory') return;
  globalThis.gc();
  globalThis.gc();
  process.send({ type: 'memory', ...process.memoryUsage() });
});
