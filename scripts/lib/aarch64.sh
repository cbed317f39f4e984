# Sourced by scripts: a compiler for aarch64 and an emulator, unpacked into a folder of their own.
# Debian's rustc-web cannot be installed beside a packaged rustup, so nothing is installed and apt's own lists
# stay as they are.

aarch64_reason=""
aarch64_qemu=""
aarch64_version=""
aarch64_dir=""

# aarch64_ready DIR: the tools lie in DIR; false with a reason when they cannot be had.
aarch64_ready() {
  aarch64_dir="$1"
  local tool
  for tool in apt-get dpkg-deb rustup cc; do
    command -v "$tool" > /dev/null || { aarch64_reason="$tool is missing"; return 1; }
  done
  if [ ! -e "$aarch64_dir/ready" ]; then
    aarch64_unpack || { aarch64_reason="Debian's packages cannot be downloaded"; return 1; }
  fi
  aarch64_qemu="$aarch64_dir/usr/bin/qemu-aarch64-static"
  aarch64_version="$(aarch64_env "$aarch64_dir/usr/bin/rustc" --version)" ||
    { aarch64_reason="the unpacked compiler does not run"; return 1; }
}

# aarch64_depends PACKAGE PATTERN: the package of that name that it needs.
aarch64_depends() {
  apt-cache "${options[@]:1}" depends "$1" | sed -n "s/^ *Depends: \\($2\\)\$/\\1/p" | grep -m 1 .
}

aarch64_unpack() {
  local lists="$aarch64_dir/apt" options one
  mkdir -p "$lists/lists/partial" "$lists/cache/archives/partial" "$aarch64_dir/packages"
  options=(-qq -o "Dir::State::lists=$lists/lists" -o "Dir::Cache=$lists/cache" -o APT::Sandbox::User=root
    -o APT::Architectures::=amd64 -o APT::Architectures::=arm64 -o Acquire::Languages=none)
  apt-get "${options[@]}" update > /dev/null || return 1
  # The names of the compiler's own libraries carry its version, which moves with the distribution's updates.
  local own llvm
  own="$(aarch64_depends libstd-rust-web-dev 'libstd-rust-web-[0-9.]*')" || return 1
  llvm="$(aarch64_depends "$own" 'libllvm[0-9]*')" || return 1
  (cd "$aarch64_dir/packages" && apt-get "${options[@]}" download \
    rustc-web "$own" "$llvm" libstd-rust-web-dev libstd-rust-web-dev:arm64 qemu-user-static \
    libc6-dev:arm64 libgcc-12-dev:arm64 > /dev/null) || return 1
  for one in "$aarch64_dir"/packages/*.deb; do dpkg-deb -x "$one" "$aarch64_dir" || return 1; done
  touch "$aarch64_dir/ready"
}

# aarch64_env COMMAND…: with the libraries of the unpacked compiler.
aarch64_env() {
  LD_LIBRARY_PATH="$aarch64_dir/usr/lib:$aarch64_dir/usr/lib/x86_64-linux-gnu" "$@"
}

# aarch64_build PACKAGE TARGET_DIR: the program `golden`, linked statically.
aarch64_build() {
  local lib="$aarch64_dir/usr/lib/aarch64-linux-gnu" gcc="$aarch64_dir/usr/lib/gcc/aarch64-linux-gnu/12"
  local lld flags
  lld="$(rustc --print sysroot)/lib/rustlib/x86_64-unknown-linux-gnu/bin/rust-lld"
  flags="-C linker=$lld -C linker-flavor=ld.lld -C target-feature=+crt-static -C relocation-model=static"
  # The start code first: behind the C library that one would bring its own for programs that relocate themselves.
  flags="$flags -Zpre-link-arg=$lib/crt1.o -Zpre-link-arg=$lib/crti.o -L native=$lib -L native=$gcc"
  flags="$flags -C link-arg=--start-group -C link-arg=-lc -C link-arg=-lgcc -C link-arg=-lgcc_eh"
  flags="$flags -C link-arg=--end-group -C link-arg=$lib/crtn.o"
  # Where that compiler is older than the one that the product asks for, this was experimental.
  flags="$flags -Zcrate-attr=feature(let_chains) -Zcrate-attr=feature(unsigned_is_multiple_of) -A stable_features"
  (cd "$1" && RUSTC="$aarch64_dir/usr/bin/rustc" RUSTC_BOOTSTRAP=1 RUSTFLAGS="$flags" \
    aarch64_env cargo build --release --quiet --locked --ignore-rust-version --bin golden \
    --target aarch64-unknown-linux-gnu --target-dir "$2")
}
