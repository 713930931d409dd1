// Loaded into the API process of bench:memory, whose Node has --expose-gc: answers how much memory is in use once all garbage is gone.
process.on('message', async (message) => {
  if (message !== 'memory') return;
  // Objects that have a finalizer, or live until the end of the event loop's turn, take several collections.
  for (let i = 0; i < 4; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 250));
  }
  globalThis.gc();
  process.send({ type: 'memory', ...process.memoryUsage() });
});
