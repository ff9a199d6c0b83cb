# Settings under which a CPU trains at full speed; sourced by run.sh. Page faults cost more than products without the first five.
export GLIBC_TUNABLES=glibc.malloc.hugetlb=1 THP_MEM_ALLOC_ENABLE=1
export MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=17179869184 MALLOC_TOP_PAD_=1073741824
# Waiting threads give their core away, which matters as soon as the machine has other work.
export OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0
export OMP_NUM_THREADS="${OMP_NUM_THREADS:-$(nproc)}"
