#!/bin/sh
# Traces `weigh audit` over the repo cases of the hostile corpus: no network, no exec, no write but to stdout, and of the files that are
# opened none outside the case but what every program reads (its libraries, the processor's share of this group).
#
# usage: scripts/bench/trace_audit.sh WEIGH CORPUS     (CORPUS made by tests/hostile/gen.py; needs strace)
# Prints what was counted; exits 1 at the first call that should not be.
set -eu
weigh=$1
corpus=$2
command -v strace >/dev/null || { echo "SKIPPED: strace is not here"; exit 0; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
runs=0
bad=0
for case in "$corpus"/repo/*; do
    : > "$log"
    strace -f -qq -y -e trace=network,process,openat,open,creat,write,pwrite64,unlink,unlinkat,rename,renameat,renameat2,mkdir,mkdirat,link,symlink,truncate,ftruncate,chmod,fchmod \
        -o "$log" "$weigh" audit "$case" --format json > /dev/null 2>&1 || true
    runs=$((runs + 1))
    # The one exec is strace starting weigh. Threads (clone) are no processes of others.
    execs=$(grep -c 'execve(' "$log" || true)
    net=$(grep -cE ' (socket|connect|sendto|sendmsg|bind|listen|accept4?)\(' "$log" || true)
    opens=$(grep -E ' (open|openat|creat)\(' "$log" | grep -E 'O_WRONLY|O_RDWR|O_CREAT|creat\(' | grep -vc '/dev/null' || true)
    writes=$(grep -E ' p?write(64)?\(' "$log" | grep -vcE 'write\((1|2)<' || true)
    # With -y an open ends in the path that was reached, whatever links led there.
    real=$(realpath "$case")
    outside=$(sed -nE 's/.* (open|openat)\(.*= [0-9]+<([^>]*)>$/\2/p' "$log" | awk -v here="$real" '
        $0 == here || index($0, here "/") == 1 { next }
        /^(\/usr)?\/lib/ || /^\/etc\/ld\.so/ || /^\/proc\/[0-9]+\/(cgroup|maps|mountinfo)$/ || /^\/sys\/(fs\/cgroup|devices\/system\/cpu)/ { next }
        { n++; print "    opened " $0 > "/dev/stderr" } END { print n + 0 }')
    changes=$(grep -cE ' (unlink|unlinkat|rename|renameat2?|mkdir|mkdirat|link|symlink|truncate|ftruncate|f?chmod)\(' "$log" || true)
    if [ "$execs" -ne 1 ] || [ "$net" -ne 0 ] || [ "$opens" -ne 0 ] || [ "$writes" -ne 0 ] || [ "$changes" -ne 0 ] || [ "$outside" -ne 0 ]; then
        echo "$case: exec $execs (1 is weigh itself), network $net, opens for writing $opens, other writes $writes, changes $changes, opened outside $outside"
        bad=$((bad + 1))
    fi
done
echo "$runs runs traced, $bad with a call that should not be"
[ "$bad" -eq 0 ]
