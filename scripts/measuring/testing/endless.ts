/** A measurement that never ends by itself: for the test of what ends it. Its first line of standard error is its pid. */
console.error(process.pid);
setInterval(() => {}, 1000);
