"""`./ppvmm bench xenstore`: C xenstored, oxenstored and ours, measured side by side in one run."""
