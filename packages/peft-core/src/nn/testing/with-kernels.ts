// Imported before TensorFlow is: this process has Graft's kernels, unless the environment names others.
process.env.GRAFT_KERNELS ||= 'auto';
