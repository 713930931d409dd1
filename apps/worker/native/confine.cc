// Runs a program with few rights: node with a trainer or a generator, which compute on data that users upload.
//
//   confine [OPTION …] -- PROGRAM [ARGUMENT …]     replaces this process by PROGRAM: same pid, same descriptors 0 to 4
//   confine --report [OPTION …]                    confines only itself and prints the layers that took effect, one per line
//
//   --uid N, --gid N    run as this user, without supplementary groups
//   --run PATH          may read and execute PATH and everything below it
//   --read PATH         may read PATH and everything below it
//   --write PATH        may read and write PATH and everything below it, but create no links, devices or sockets there
//   --device PATH       may read, write and control this device
//   --need LAYERS       fail unless each of these layers, separated by commas, takes effect
//   --processes         may start processes, for TypeScript loaders during development
//   --unix-sockets      may create Unix sockets, which the GPU driver does, but connect none
//
// Paths that do not exist are skipped. Layers: `user`, `capabilities`, `network-namespace`, `no-new-privileges`, `files`
// (Landlock), `signals` (Landlock's scopes) and `system-calls` (seccomp). Documentation: docs/security.md.
#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <set>
#include <string>
#include <vector>

namespace {

// Exit status: `env` and shells use 126 for "could not be started", and nothing else here uses it.
constexpr int cannotConfine = 126;
// Descriptors that the program keeps: standard streams (0 to 2), the message channel (3), the lease (4).
constexpr int keptDescriptors = 5;
// Threads of one user. TensorFlow starts several thread pools with one thread per core each.
constexpr rlim_t threadLimit = 8192;

[[noreturn]] void fail(const std::string &what) {
  fprintf(stderr, "confine: %s: %s\n", what.c_str(), strerror(errno));
  _exit(cannotConfine);
}

struct Rule {
  std::string path;
  uint64_t access;
};

struct Options {
  long uid = -1, gid = -1;
  bool report = false, processes = false, unixSockets = false;
  std::vector<Rule> rules;
  std::set<std::string> needed;
  char **program = nullptr;
};

// --- Landlock. The constants are written out because the installed kernel header may be older than the kernel. ---

constexpr long createRuleset = 444, addRule = 445, restrictSelf = 446;
constexpr uint64_t EXECUTE = 1, WRITE_FILE = 1 << 1, READ_FILE = 1 << 2, READ_DIR = 1 << 3, REMOVE_DIR = 1 << 4,
                   REMOVE_FILE = 1 << 5, MAKE_DIR = 1 << 7, MAKE_REG = 1 << 8, REFER = 1 << 13, TRUNCATE = 1 << 14,
                   IOCTL_DEV = 1 << 15;
constexpr uint64_t readAccess = READ_FILE | READ_DIR;
constexpr uint64_t writeAccess =
    readAccess | WRITE_FILE | REMOVE_DIR | REMOVE_FILE | MAKE_DIR | MAKE_REG | REFER | TRUNCATE;
constexpr uint64_t deviceAccess = READ_FILE | WRITE_FILE | IOCTL_DEV;
// The rights that Landlock accepts in a rule for a path that is not a folder.
constexpr uint64_t ofFiles = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV;

struct Ruleset {
  uint64_t files, network, scopes;
};
struct __attribute__((packed)) PathRule {
  uint64_t access;
  int32_t parent;
};

long landlockVersion() { return syscall(createRuleset, nullptr, 0, 1); }

/**
 * Returns the descriptor of the ruleset, or -1 where the kernel has no Landlock. Called before the user changes, because the new
 * user may not be able to open all paths.
 */
int makeRuleset(const Options &options, long version) {
  if (version < 1) return -1;
  // The rights that each version supports: version 1 the first 13, version 2 adds REFER, 3 TRUNCATE, 5 IOCTL_DEV.
  uint64_t known = (1 << 13) - 1;
  if (version >= 2) known |= REFER;
  if (version >= 3) known |= TRUNCATE;
  if (version >= 5) known |= IOCTL_DEV;
  Ruleset ruleset = {known, 0, 0};
  if (version >= 4) ruleset.network = 3;  // binding and connecting TCP
  if (version >= 6) ruleset.scopes = 3;   // abstract Unix sockets and signals
  const size_t size = version >= 6 ? 24 : version >= 4 ? 16 : 8;
  const long rules = syscall(createRuleset, &ruleset, size, 0);
  if (rules < 0) return -1;
  for (const Rule &rule : options.rules) {
    const int path = open(rule.path.c_str(), O_PATH | O_CLOEXEC);
    if (path < 0) {
      if (errno == ENOENT || errno == ENOTDIR || errno == EACCES) continue;
      fail(rule.path);
    }
    struct stat found;
    if (fstat(path, &found) != 0) fail(rule.path);
    const uint64_t possible = S_ISDIR(found.st_mode) ? known : known & ofFiles;
    PathRule added = {rule.access & possible, path};
    if (syscall(addRule, rules, 1, &added, 0) != 0) fail(rule.path);
    close(path);
  }
  return rules;
}

// --- seccomp ---

#if defined(__x86_64__)
constexpr uint32_t architecture = AUDIT_ARCH_X86_64;
#elif defined(__aarch64__)
constexpr uint32_t architecture = AUDIT_ARCH_AARCH64;
#else
constexpr uint32_t architecture = 0;
#endif

// System calls that could reach outside: networks, other processes, keys, BPF, mounts, namespaces. Computation needs none of them.
const std::vector<long> refused = {
    SYS_bind, SYS_connect, SYS_sendto, SYS_sendmsg, SYS_sendmmsg, SYS_listen, SYS_accept, SYS_accept4,
    425, 426, 427,  // io_uring: its operations bypass the filter
    SYS_ptrace, SYS_process_vm_readv, SYS_process_vm_writev, SYS_kcmp, SYS_tkill,
    424, 434, 438, 440, 448,  // pidfd_send_signal, pidfd_open, pidfd_getfd, process_madvise, process_mrelease
    SYS_migrate_pages, SYS_move_pages,
    SYS_add_key, SYS_request_key, SYS_keyctl, SYS_bpf, SYS_userfaultfd, SYS_perf_event_open, SYS_fanotify_init,
    SYS_mount, SYS_umount2, SYS_pivot_root, SYS_chroot, SYS_unshare, SYS_setns, SYS_swapon, SYS_swapoff, SYS_acct,
    428, 429, 430, 431, 432, 433, 442,  // open_tree, move_mount, fsopen, fsconfig, fsmount, fspick, mount_setattr
    SYS_name_to_handle_at, SYS_open_by_handle_at, SYS_quotactl, SYS_reboot, SYS_syslog,
    SYS_init_module, SYS_finit_module, SYS_delete_module, SYS_kexec_load,
    SYS_settimeofday, SYS_clock_settime, SYS_adjtimex, SYS_clock_adjtime, SYS_sethostname, SYS_setdomainname,
    SYS_linkat, SYS_symlinkat, SYS_mknodat,  // links and devices that the worker would follow
    SYS_shmget, SYS_shmat, SYS_shmctl, SYS_semget, SYS_semop, SYS_semctl, SYS_semtimedop, SYS_msgget, SYS_msgsnd,
    SYS_msgrcv, SYS_msgctl, SYS_mq_open, SYS_mq_unlink, SYS_mq_notify,
#ifdef __x86_64__
    SYS_link, SYS_symlink, SYS_mknod, SYS_uselib, SYS_ustat, SYS_sysfs, SYS_iopl, SYS_ioperm, SYS_modify_ldt, SYS_kexec_file_load, SYS_vhangup,
#endif
};
// Calls that create a process. Threads are created by `clone` with CLONE_THREAD.
const std::vector<long> processes = {
    SYS_socketpair,
#ifdef __x86_64__
    SYS_fork, SYS_vfork,
#endif
};

class Filter {
  std::vector<sock_filter> code;

  void add(uint16_t operation, uint32_t value, uint8_t yes = 0, uint8_t no = 0) {
    code.push_back({operation, yes, no, value});
  }

 public:
  void load(size_t offset) { add(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
  void loadCall() { load(offsetof(seccomp_data, nr)); }
  /** Loads the lower half, which is first on both architectures. The kernel ignores the upper half of the arguments that are compared. */
  void loadArgument(int index) { load(offsetof(seccomp_data, args) + 8 * index); }
  void mask(uint32_t bits) { add(BPF_ALU | BPF_AND | BPF_K, bits); }
  void answer(uint32_t action) { add(BPF_RET | BPF_K, action); }
  void answerWhenEqual(uint32_t value, uint32_t action) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1);
    answer(action);
  }
  void answerUnlessEqual(uint32_t value, uint32_t action) {
    add(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0);
    answer(action);
  }
  /** Adds the checks of `body` for this call only. The call is allowed if none of them denies it. */
  template <typename Body>
  void forCall(long call, Body body) {
    const size_t at = code.size();
    add(BPF_JMP | BPF_JEQ | BPF_K, static_cast<uint32_t>(call), 0, 0);
    body();
    answer(SECCOMP_RET_ALLOW);
    code[at].jf = static_cast<uint8_t>(code.size() - at - 1);
  }
  void answerAbove(uint32_t value, uint32_t action) {
    add(BPF_JMP | BPF_JGE | BPF_K, value, 0, 1);
    answer(action);
  }

  bool install() {
    sock_fprog program = {static_cast<unsigned short>(code.size()), code.data()};
    // Without this flag, some kernels enable speculative-store-bypass mitigation, which slows down the whole process.
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &program) == 0) return true;
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
  }
};

bool installFilter(const Options &options) {
  if (architecture == 0) return false;
  const uint32_t denied = SECCOMP_RET_ERRNO | EPERM;
  const uint32_t self = static_cast<uint32_t>(getpid());
  Filter filter;
  filter.load(offsetof(seccomp_data, arch));
  filter.answerUnlessEqual(architecture, SECCOMP_RET_KILL_PROCESS);
  filter.loadCall();
#ifdef __x86_64__
  // x32 has the same calls under other numbers.
  filter.answerAbove(0x40000000, denied);
#endif
  for (const long call : refused) {
    const bool isOfUnixServers = call == SYS_bind || call == SYS_listen || call == SYS_accept || call == SYS_accept4;
    if (!(options.unixSockets && isOfUnixServers)) filter.answerWhenEqual(static_cast<uint32_t>(call), denied);
  }
  if (!options.processes)
    for (const long call : processes)
      if (!(options.unixSockets && call == SYS_socketpair)) filter.answerWhenEqual(static_cast<uint32_t>(call), denied);
  filter.forCall(SYS_socket, [&] {
    filter.loadArgument(0);
    if (!options.unixSockets) filter.answer(denied);
    filter.answerUnlessEqual(1 /* AF_UNIX */, denied);
  });
  // clone3 takes its flags by pointer, which a filter cannot read. With ENOSYS the C library falls back to `clone`.
  filter.answerWhenEqual(435, SECCOMP_RET_ERRNO | ENOSYS);
  filter.forCall(SYS_clone, [&] {
    filter.loadArgument(0);
    filter.mask(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET);
    filter.answerUnlessEqual(0, denied);
    if (options.processes) return;
    filter.loadArgument(0);
    filter.mask(CLONE_THREAD);
    filter.answerUnlessEqual(CLONE_THREAD, denied);
  });
  // Signals only to the process itself. A program that may start processes relies on Landlock's signal scope.
  if (!options.processes)
    for (const long call : {SYS_kill, SYS_tgkill, SYS_rt_sigqueueinfo, SYS_rt_tgsigqueueinfo})
      filter.forCall(call, [&] {
        filter.loadArgument(0);
        filter.answerUnlessEqual(self, denied);
      });
  for (const long call : {SYS_prlimit64, SYS_setpriority})
    filter.forCall(call, [&] {
      filter.loadArgument(call == SYS_setpriority ? 1 : 0);
      filter.answerWhenEqual(0, SECCOMP_RET_ALLOW);
      filter.answerUnlessEqual(self, denied);
    });
  // TIOCSTI and TIOCLINUX insert input into the operator's terminal, which standard output may be.
  filter.forCall(SYS_ioctl, [&] {
    filter.loadArgument(1);
    filter.answerWhenEqual(TIOCSTI, denied);
    filter.answerWhenEqual(0x541C /* TIOCLINUX */, denied);
  });
  filter.answer(SECCOMP_RET_ALLOW);
  return filter.install();
}

// --- users and capabilities ---

void becomeUser(const Options &options) {
  if (options.uid < 0) return;
  const auto uid = static_cast<uid_t>(options.uid);
  const auto gid = static_cast<gid_t>(options.gid);
  // The limit counts all threads of the user, so it applies only where the program has a separate user.
  const rlimit threads = {threadLimit, threadLimit};
  setrlimit(RLIMIT_NPROC, &threads);
  if (setgroups(0, nullptr) != 0) fail("groups");
  if (setresgid(gid, gid, gid) != 0) fail("group");
  if (setresuid(uid, uid, uid) != 0) fail("user");
}

/** Drops all capabilities: root then has no privileges except access to the files that root owns. */
bool dropCapabilities() {
  prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct none[2] = {};
  return syscall(SYS_capset, &header, none) == 0;
}

Options parse(int count, char **values) {
  Options options;
  for (int index = 1; index < count; index++) {
    const std::string name = values[index];
    if (name == "--") {
      options.program = values + index + 1;
      break;
    }
    if (name == "--report") options.report = true;
    else if (name == "--processes") options.processes = true;
    else if (name == "--unix-sockets") options.unixSockets = true;
    else {
      errno = EINVAL;
      if (index + 1 >= count) fail(name);
      const std::string value = values[++index];
      if (name == "--uid") options.uid = strtol(value.c_str(), nullptr, 10);
      else if (name == "--gid") options.gid = strtol(value.c_str(), nullptr, 10);
      else if (name == "--run") options.rules.push_back({value, readAccess | EXECUTE});
      else if (name == "--read") options.rules.push_back({value, readAccess});
      else if (name == "--write") options.rules.push_back({value, writeAccess});
      else if (name == "--device") options.rules.push_back({value, deviceAccess});
      else if (name == "--need") {
        for (size_t at = 0; at <= value.size();) {
          const size_t end = std::min(value.find(',', at), value.size());
          if (end > at) options.needed.insert(value.substr(at, end - at));
          at = end + 1;
        }
      } else fail(name);
    }
  }
  errno = EINVAL;
  if (!options.report && (options.program == nullptr || *options.program == nullptr)) fail("no program");
  if (options.uid == 0 || (options.uid > 0 && options.gid <= 0)) fail("the user must be another than root");
  return options;
}

}  // namespace

int main(int count, char **values) {
  const Options options = parse(count, values);
  std::vector<std::string> layers;
  const auto layer = [&](const char *name, bool holds) {
    if (holds) layers.push_back(name);
    else if (options.needed.count(name)) fail(name);
  };

  const rlimit noCore = {0, 0};
  setrlimit(RLIMIT_CORE, &noCore);
  const long version = landlockVersion();
  const int rules = makeRuleset(options, version);
  // Needs CAP_SYS_ADMIN. Without it, the system-call filter still blocks networks.
  layer("network-namespace", unshare(CLONE_NEWNET | CLONE_NEWIPC) == 0);
  becomeUser(options);
  layer("user", options.uid > 0);
  layer("capabilities", dropCapabilities());
  layer("no-new-privileges", prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
  const bool isLandlocked = rules >= 0 && syscall(restrictSelf, rules, 0) == 0;
  layer("files", isLandlocked);
  layer("signals", isLandlocked && version >= 6);
  layer("system-calls", installFilter(options));

  if (options.report) {
    for (const std::string &name : layers) puts(name.c_str());
    return fflush(stdout) == 0 ? 0 : 1;
  }
  if (syscall(436 /* close_range */, keptDescriptors, ~0U, 0) != 0)
    for (int descriptor = keptDescriptors; descriptor < 4096; descriptor++) close(descriptor);
  execv(options.program[0], options.program);
  fail(options.program[0]);
}
