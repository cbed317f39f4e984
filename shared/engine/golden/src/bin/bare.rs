//! The engine without a standard library, a C library and an operating system's start code.
//!
//! Output: the chain of the short walk in hexadecimal, and exit 0. That it links with nothing is the proof that
//! no clock, thread, file, socket, environment or random source can be reached from the engine: there is none
//! in the program. It brings an allocator that never frees, and two system calls of its own to say the result.
#![no_std]
#![no_main]

#[path = "../walk.rs"]
mod walk;

use core::alloc::{GlobalAlloc, Layout};
use core::cell::UnsafeCell;
use core::sync::atomic::{AtomicUsize, Ordering};

/// Room for everything that is ever allocated.
const ROOM: usize = 64 << 20;

struct Bump {
    room: UnsafeCell<[u8; ROOM]>,
    used: AtomicUsize,
}

// SAFETY: every byte is handed out once, by one atomic counter.
unsafe impl Sync for Bump {}

// SAFETY: blocks lie in `room`, are aligned as asked and do not overlap.
unsafe impl GlobalAlloc for Bump {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let need = layout.size() + layout.align();
        let at = self.used.fetch_add(need, Ordering::Relaxed);
        if at + need > ROOM {
            return core::ptr::null_mut();
        }
        let start = self.room.get().cast::<u8>().wrapping_add(at);
        start.wrapping_add(start.align_offset(layout.align()))
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static MEMORY: Bump = Bump { room: UnsafeCell::new([0; ROOM]), used: AtomicUsize::new(0) };

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(101)
}

/// The precompiled core names it; nothing unwinds here.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() {}

/// As above.
#[unsafe(no_mangle)]
extern "C" fn _Unwind_Resume() -> ! {
    exit(102)
}

// What a compiler calls for copies and comparisons of memory, else of the C library. Each byte is read and written
// by itself and volatile, or the compiler would make a call of the function out of its own body.

/// # Safety
/// As `memcpy`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    for at in 0..n {
        // SAFETY: the caller vouches for `n` bytes at both places.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
    to
}

/// # Safety
/// As `memmove`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memmove(to: *mut u8, from: *const u8, n: usize) -> *mut u8 {
    if to.cast_const() <= from {
        // SAFETY: as the caller's; forwards, nothing is overwritten before it is read.
        return unsafe { memcpy(to, from, n) };
    }
    for at in (0..n).rev() {
        // SAFETY: as above, backwards.
        unsafe { to.add(at).write_volatile(from.add(at).read_volatile()) };
    }
    to
}

/// # Safety
/// As `memset`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, n: usize) -> *mut u8 {
    for at in 0..n {
        // SAFETY: the caller vouches for `n` bytes; the low byte is what counts.
        unsafe { to.add(at).write_volatile(byte.to_le_bytes()[0]) };
    }
    to
}

/// # Safety
/// As `memcmp`.
#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    for at in 0..n {
        // SAFETY: the caller vouches for `n` bytes at both places.
        let (a, b) = unsafe { (a.add(at).read_volatile(), b.add(at).read_volatile()) };
        if a != b {
            return i32::from(a) - i32::from(b);
        }
    }
    0
}

/// # Safety
/// As `bcmp`.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, n: usize) -> i32 {
    // SAFETY: as the caller's.
    unsafe { memcmp(a, b, n) }
}

#[cfg(target_arch = "x86_64")]
core::arch::global_asm!(".globl _start", "_start:", "xor ebp, ebp", "and rsp, -16", "call {run}", run = sym run);

#[cfg(target_arch = "aarch64")]
core::arch::global_asm!(".globl _start", "_start:", "mov x29, xzr", "bl {run}", run = sym run);

#[cfg(target_arch = "x86_64")]
fn system(number: usize, a: usize, b: usize, c: usize) {
    // SAFETY: write and exit read at most the bytes that they are given.
    unsafe {
        core::arch::asm!("syscall", inout("rax") number => _, in("rdi") a, in("rsi") b, in("rdx") c,
            out("rcx") _, out("r11") _);
    }
}

#[cfg(target_arch = "aarch64")]
fn system(number: usize, a: usize, b: usize, c: usize) {
    // SAFETY: write and exit read at most the bytes that they are given.
    unsafe {
        core::arch::asm!("svc 0", in("x8") number, inout("x0") a => _, in("x1") b, in("x2") c);
    }
}

/// Numbers of `write` and `exit`.
#[cfg(target_arch = "x86_64")]
const CALLS: (usize, usize) = (1, 60);
#[cfg(target_arch = "aarch64")]
const CALLS: (usize, usize) = (64, 93);

fn exit(status: usize) -> ! {
    system(CALLS.1, status, 0, 0);
    loop {}
}

extern "C" fn run() -> ! {
    let mut text = [b'\n'; 65];
    for (pair, byte) in text.chunks_exact_mut(2).zip(walk::chain()) {
        for (digit, half) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            *digit = b"0123456789abcdef"[usize::from(half)];
        }
    }
    system(CALLS.0, 1, text.as_ptr() as usize, text.len());
    exit(0)
}
