import { UnhealthyReason } from './unfit.ts';

/**
 * Faults of a card, of its driver, or of this machine's access to them. The codes are stable: metrics, logs and docs/gpu.md use
 * them.
 */
export type CardFaultCode =
  | 'gpu_tool_missing'
  | 'gpu_driver_not_running'
  | 'gpu_driver_mismatch'
  | 'gpu_driver_too_old'
  | 'gpu_libraries_missing'
  | 'gpu_not_found'
  | 'gpu_not_reachable'
  | 'gpu_lost'
  | 'gpu_without_mig_device'
  | 'gpu_not_used'
  | 'gpu_memory_taken'
  | 'gpu_failed'
  | 'gpu_tool_failed';

interface Kind {
  /** Matches the output of nvidia-smi, CUDA or TensorFlow for this fault. */
  pattern?: RegExp;
  /** Exit status of nvidia-smi for this fault, from its manual. */
  status?: number;
  /** Description for teams. */
  plain: string;
  /** Fix, for the operator. */
  advice: string;
}

/** The more specific kinds come first, because a text may match several. */
const kinds: Readonly<Record<CardFaultCode, Kind>> = {
  gpu_lost: {
    pattern:
      /GPU is lost|fallen off the bus|requires reset|Unable to determine the device handle|\bXid\b|uncorrectable ECC|CUDA_ERROR_ECC_UNCORRECTABLE|NV_ERR_RESET_REQUIRED/i,
    status: 15,
    plain: 'its GPU is lost',
    advice:
      'The kernel log has the reason (dmesg | grep -i xid). Reset the card (nvidia-smi --gpu-reset -i INDEX) or restart the machine; the worker takes the card back by itself.',
  },
  gpu_driver_too_old: {
    pattern:
      /driver version is insufficient|CUDA_ERROR_INSUFFICIENT_DRIVER|driver on your system is too old|CUDA_ERROR_UNSUPPORTED_PTX_VERSION|unsupported toolchain/i,
    plain: "its GPU's driver is too old",
    advice: "TensorFlow's CUDA 12 libraries need NVIDIA's driver 525 or later: install a newer driver.",
  },
  gpu_driver_mismatch: {
    pattern: /Driver\/library version mismatch|CUDA_ERROR_SYSTEM_DRIVER_MISMATCH/i,
    status: 18,
    plain: "its GPU's driver was changed and does not run",
    advice:
      'The kernel runs another version of the driver than is installed: restart the machine, or reload the nvidia modules.',
  },
  gpu_driver_not_running: {
    pattern:
      /couldn't communicate with the NVIDIA driver|Driver Not Loaded|kernel driver does not appear to be running/i,
    status: 9,
    plain: "its GPU's driver does not run",
    advice: 'Load the driver (modprobe nvidia) or install it for the kernel that runs (dkms status).',
  },
  gpu_libraries_missing: {
    pattern:
      /Cannot dlopen some GPU libraries|Could not load dynamic library|NVML Shared Library|libcuda\.so|UNKNOWN ERROR \(303\)|CUDA_ERROR_STUB_LIBRARY/i,
    status: 12,
    plain: 'libraries for its GPU are missing',
    advice:
      "The driver's libraries (libcuda.so.1, libnvidia-ml.so.1) are not where this process finds them. In a container: run it with NVIDIA's runtime and NVIDIA_DRIVER_CAPABILITIES=compute,utility. CUDA's own come with GRAFT_TENSORFLOW=gpu npm run tensorflow.",
  },
  gpu_not_reachable: {
    pattern:
      /Failed to initialize NVML|Insufficient Permissions|CUDA_ERROR_NOT_PERMITTED|CUDA_ERROR_SYSTEM_NOT_READY/i,
    status: 4,
    plain: 'its GPU cannot be reached',
    advice:
      "This process may not use the card's devices (/dev/nvidia*). A container loses them when systemd is reloaded on its host: restart it.",
  },
  gpu_not_found: {
    pattern: /No devices were found|CUDA_ERROR_NO_DEVICE|no CUDA-capable device/i,
    status: 6,
    plain: 'it has no GPU',
    advice:
      'The driver sees no card that this process may use: check NVIDIA_VISIBLE_DEVICES of the container, and that the card is in its slot (lspci | grep -i nvidia).',
  },
  gpu_tool_missing: {
    plain: 'it has no GPU',
    advice:
      "Install NVIDIA's driver. In a container, run it with NVIDIA's runtime (docker run --gpus all; on Kubernetes runtimeClassName nvidia), which brings nvidia-smi along. GRAFT_TENSORFLOW=cpu trains on the processor.",
  },
  gpu_without_mig_device: {
    plain: 'its GPU has no MIG device',
    advice:
      'MIG mode is on and no instance was made: nvidia-smi mig -cgi PROFILE -C makes one, nvidia-smi -i INDEX -mig 0 turns MIG off.',
  },
  gpu_not_used: {
    pattern: /failed call to cuInit/,
    plain: 'its TensorFlow does not compute on its GPU',
    advice:
      "What TensorFlow's log says is above. Check that the installed build is the one for GPUs (GRAFT_TENSORFLOW=gpu npm run tensorflow), or set GRAFT_TENSORFLOW=cpu to train on the processor.",
  },
  gpu_memory_taken: {
    plain: "its GPU's memory is in use",
    advice:
      'Not even a small product has room on the card: nvidia-smi lists the processes that hold its memory. A card is for one worker.',
  },
  gpu_failed: {
    pattern:
      /CUDA_ERROR_(?!OUT_OF_MEMORY)\w+|CUDNN_STATUS_(?!ALLOC_FAILED)\w+|CUBLAS_STATUS_(?!ALLOC_FAILED)\w+/,
    plain: 'its GPU failed',
    advice:
      'A computation on the card failed. If it happens again on this card alone, look for errors of its memory (nvidia-smi -q -d ECC,ROW_REMAPPER) and test it.',
  },
  gpu_tool_failed: {
    plain: 'its GPU cannot be reached',
    advice: 'Run nvidia-smi on this machine, as the user of the worker.',
  },
};

/** A fault of one card or of all cards of a machine. `message` has the finding, the tool's output and the fix. */
export class CardFault extends UnhealthyReason {
  readonly code: CardFaultCode;

  /** `found`: a sentence that quotes nvidia-smi or TensorFlow. */
  constructor(code: CardFaultCode, found: string) {
    super(kinds[code].plain, `${found} (${code}) ${kinds[code].advice}`);
    this.code = code;
  }
}

/** The fault that a text describes; null where none is known. `status`: exit status of nvidia-smi. */
export function cardFaultIn(text: string, status?: number | null): CardFaultCode | null {
  const all = Object.entries(kinds) as [CardFaultCode, Kind][];
  const byText = all.find(([, { pattern }]) => pattern?.test(text));
  const byStatus = status ? all.find(([, kind]) => kind.status === status) : undefined;
  return (byText ?? byStatus)?.[0] ?? null;
}

export const plainFault = (code: CardFaultCode): string => kinds[code].plain;

export const isCardFault = (code: string): code is CardFaultCode => Object.hasOwn(kinds, code);

/** Lines to skip: stack frames, and the header of TensorFlow's log. */
const beside = /^at |^WARNING: All log messages before absl::InitializeLog/;

/** The first lines of a program's output, joined into one of at most `most` characters. */
export function wordsOf(text: string, most = 400): string {
  const lines = text.split(/\r?\n/).map((line) => line.trim());
  const words = lines.filter((line) => line !== '' && !beside.test(line)).join(' / ');
  return words.length > most ? `${words.slice(0, most - 1)}…` : words;
}
