// Preloaded into the process of each test file: at its end it notes what the file took, for the runner's list of slow files.
const { appendFileSync, readFileSync } = require('node:fs');
const { isMainThread } = require('node:worker_threads');

const { GRAFT_TEST_USAGE: output, GRAFT_TEST_NODE_OPTIONS: options = '' } = process.env;
if (isMainThread && output) {
  // What a test starts is no test file.
  delete process.env.GRAFT_TEST_USAGE;
  process.env.NODE_OPTIONS = options;
  if (options === '') delete process.env.NODE_OPTIONS;
  process.on('exit', () => {
    const usage = { file: process.argv[1], cpuSeconds: cpuSeconds(), waits: measured('waiting for ') };
    appendFileSync(output, `${JSON.stringify(usage)}\n`);
  });
}

/** Of this process, and of those it started and saw end where there is a /proc; with `CPU of …` of others that work for it. */
function cpuSeconds() {
  const { user, system } = process.cpuUsage();
  let seconds =
    (user + system) / 1e6 + Object.values(measured('CPU of ')).reduce((sum, each) => sum + each, 0);
  try {
    const stat = readFileSync('/proc/self/stat', 'latin1');
    // Behind the command's name, which may hold spaces: cutime and cstime are fields 16 and 17, in ticks of 10 ms.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    seconds += (Number(fields[13]) + Number(fields[14])) / 100;
  } catch {}
  return seconds;
}

/** Seconds by what stands behind the prefix: of `performance.measure('waiting for Python', …)`. */
function measured(prefix) {
  const seconds = {};
  for (const { name, duration } of performance.getEntriesByType('measure')) {
    if (!name.startsWith(prefix)) continue;
    const what = name.slice(prefix.length);
    seconds[what] = (seconds[what] ?? 0) + duration / 1000;
  }
  return seconds;
}
