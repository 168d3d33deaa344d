"""PpVMM's one command and its Xen lab. Entry: ./ppvmm in the root of the tree; guide: lab/README.md."""
