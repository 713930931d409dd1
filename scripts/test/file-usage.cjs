// Preloaded into the process of each test file. At exit it records the file's CPU time and waits, for the runner's list of slow files.
const { appendFileSync, readFileSync } = require('node:fs');
const { isMainThread } = require('node:worker_threads');

const { GRAFT_TEST_USAGE: output, GRAFT_TEST_NODE_OPTIONS: options = '' } = process.env;
if (isMainThread && output) {
  // The processes that a test starts are not test files.
  delete process.env.GRAFT_TEST_USAGE;
  process.env.NODE_OPTIONS = options;
  if (options === '') delete process.env.NODE_OPTIONS;
  process.on('exit', () => {
    const usage = { file: process.argv[1], cpuSeconds: cpuSeconds(), waits: measured('waiting for ') };
    appendFileSync(output, `${JSON.stringify(usage)}\n`);
  });
}

/** CPU time of this process, of its ended children where there is a /proc, and of processes measured as `CPU of …`. */
function cpuSeconds() {
  const { user, system } = process.cpuUsage();
  let seconds =
    (user + system) / 1e6 + Object.values(measured('CPU of ')).reduce((sum, each) => sum + each, 0);
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    // After the command's name, which may contain spaces: cutime and cstime are fields 16 and 17, in ticks of 10 ms.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    seconds += (Number(fields[13]) + Number(fields[14])) / 100;
  } catch {}
  return seconds;
}

/** Seconds of `performance.measure('waiting for Python', …)` and its like, by the text after the prefix. */
function measured(prefix) {
  const seconds = {};
  for (const { name, duration } of performance.getEntriesByType('measure')) {
    if (!name.startsWith(prefix)) continue;
    const what = name.slice(prefix.length);
    seconds[what] = (seconds[what] ?? 0) + duration / 1000;
  }
  return seconds;
}
