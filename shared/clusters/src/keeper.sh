# Ends the scratch clusters of a test run when no process that registered itself is left.
# $1: the directory of the clusters. $2: seconds between two looks; 15 looks without a user end the pair.
# Started by the process that made them, outlives it.
d=$1
idle=0
used() {
  for f in "$d"/users/*; do
    [ -e "$f" ] || continue
    if kill -0 "${f##*/}" 2>/dev/null; then return 0; fi
    rm -f "$f"
  done
  return 1
}
while :; do
  sleep "$2"
  [ -e "$d/ready" ] || exit 0
  if used; then idle=0; continue; fi
  idle=$((idle + 1))
  [ "$idle" -lt 15 ] && continue
  # From here on a newcomer waits. One that registered before the rename is seen by the second look.
  mv "$d/ready" "$d/stopping" || exit 0
  if used; then mv "$d/stopping" "$d/ready"; idle=0; continue; fi
  for c in ingest decision; do
    p=$(head -n 1 "$d/pg-$c/postmaster.pid" 2>/dev/null) && kill -INT "$p" 2>/dev/null
  done
  n=0
  while [ "$n" -lt 10 ] && { [ -e "$d/pg-ingest/postmaster.pid" ] || [ -e "$d/pg-decision/postmaster.pid" ]; }; do
    sleep 1
    n=$((n + 1))
  done
  rm -rf "$d/pg-ingest" "$d/pg-decision" "$d/run"
  rm -f "$d/stopping"
  exit 0
done
