"""`./ppvmm bench xenstore-overhead` and `xenstore-faults`: what a XenStore costs a host, and what its death costs."""
