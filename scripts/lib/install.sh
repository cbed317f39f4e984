# Sourced by scripts: finds or installs the tools that a clone does not bring.
# Each function is silent when the tool is there and prints the command when it installs it.

# as_root COMMAND…: runs as root, by sudo where there is one.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need_postgres: server binaries of PostgreSQL 15 or newer (the distribution's own cluster is not used).
need_postgres() {
  if [ -n "${PENSTOCK_PG_BIN:-}" ] && [ -x "$PENSTOCK_PG_BIN/initdb" ]; then return; fi
  local dir
  for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin \
    /usr/local/opt/postgresql@*/bin; do
    if [ -x "$dir/initdb" ] && [ -x "$dir/postgres" ]; then return; fi
  done
  if command -v apt-get >/dev/null; then
    echo "installing PostgreSQL server binaries: apt-get install -y postgresql"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq postgresql >/dev/null
  else
    echo "no PostgreSQL 15 or newer found; next: install its server package (macOS: brew install postgresql@17)" >&2
    exit 2
  fi
}

# need_second_verifier: what scripts/verify_log.py runs with; tests compare it with the engine's own.
need_second_verifier() {
  if command -v python3 >/dev/null && command -v zstd >/dev/null; then return; fi
  if command -v apt-get >/dev/null; then
    echo "installing the second verifier's tools: apt-get install -y python3 zstd"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq python3 zstd >/dev/null
  else
    echo "no python3 or zstd found; next: install both" >&2
    exit 2
  fi
}

# need_strace: makes single system calls fail; the kernel has to allow ptrace.
need_strace() {
  if ! command -v strace >/dev/null; then
    if command -v apt-get >/dev/null; then
      echo "installing strace: apt-get install -y strace"
      as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
      as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq strace >/dev/null
    else
      echo "no strace found; next: run this on Linux with strace 4.22 or newer" >&2
      exit 2
    fi
  fi
  if ! strace -qq -o /dev/null -e inject=getpid:error=EIO true; then
    echo "strace may not trace here; next: allow ptrace (in a container: --cap-add SYS_PTRACE)" >&2
    exit 2
  fi
}

# need_c_compiler: some dependencies build C.
need_c_compiler() {
  if command -v cc >/dev/null; then return; fi
  if command -v apt-get >/dev/null; then
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq build-essential >/dev/null
  else
    echo "no C compiler found; next: install one (macOS: xcode-select --install)" >&2
    exit 2
  fi
}

# need_rust: the toolchain.
need_rust() {
  if command -v cargo >/dev/null; then return; fi
  echo "no Rust toolchain found; next: install Rust 1.95 or newer with rustup, then run this again" >&2
  exit 2
}

# need_cargo_tool NAME: a cargo subcommand.
need_cargo_tool() {
  if cargo --list | grep -q "^ *${1#cargo-}\b"; then return; fi
  echo "installing $1: cargo install --locked $1"
  cargo install --quiet --locked "$1"
}

need_rust
need_c_compiler
