"""`./ppvmm bench net-overhead` (E5) and `net-faults` (E3): what a network back-end costs a host, and what its death costs."""
