//! Memory that a process has used and freed goes back to the system.
//!
//! Input: none. Output: pages. The C library's allocator keeps what was freed inside its arenas, so that a process
//! that once had a backlog, or whose blocks lie a little differently with each minute, stays as large as it
//! ever was. Invariants: what is allocated stays where it is; nothing is read or written through a pointer.
//! It chooses no allocator and measures nothing.
//!
//! This is the only unsafe code of the project. `malloc_trim` is declared `unsafe` because it is foreign, not
//! because of a precondition: it takes the number of bytes to leave at the end of the heap, no pointer goes in and
//! none comes out, it locks each arena itself and may be called from any thread at any time (malloc_trim(3):
//! MT-Safe), and it touches whole pages of free chunks only. Under another allocator it finds its own arenas
//! empty. Where the C library is not glibc nothing is called.

/// Gives back whole free pages of every arena; whether there were any. A thread that allocates meanwhile
/// waits for its own arena: call it where nothing is urgent.
pub fn give_back() -> bool {
    trim()
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(
    unsafe_code,
    reason = "malloc_trim(3) has no safe name; the head of this file says why it is sound"
)]
fn trim() -> bool {
    // SAFETY: no precondition, see the head of this file.
    unsafe { libc::malloc_trim(0) == 1 }
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
const fn trim() -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::give_back;
    use std::sync::atomic::{AtomicBool, Ordering};

    /// Blocks that are allocated, changed and freed beside it stay what they were written to be.
    #[test]
    fn what_is_allocated_is_left_alone() {
        let stop = AtomicBool::new(false);
        std::thread::scope(|threads| {
            let workers: Vec<_> = (0..3_u8)
                .map(|own| {
                    let stop = &stop;
                    threads.spawn(move || {
                        let mut blocks: Vec<Vec<u8>> = Vec::new();
                        let mut rounds = 0_usize;
                        while rounds < 50 || !stop.load(Ordering::Relaxed) {
                            blocks.extend((1..64_usize).map(|n| vec![own; n * 700]));
                            let mut at = 0;
                            blocks.retain(|_| {
                                at += 1;
                                at % 3 == rounds % 3
                            });
                            assert!(blocks.iter().flatten().all(|byte| *byte == own));
                            rounds += 1;
                        }
                    })
                })
                .collect();
            for _ in 0..200 {
                give_back();
            }
            stop.store(true, Ordering::Relaxed);
            for worker in workers {
                assert!(worker.join().is_ok());
            }
        });
    }

    /// A peak that is over does not stay in the process.
    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn a_peak_that_is_over_leaves_the_process() {
        let resident_kib = || -> u64 {
            let status = std::fs::read_to_string("/proc/self/status").unwrap();
            let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        // Small blocks, every hundredth of which stays: the heap cannot shrink from its end.
        let blocks: Vec<Vec<u8>> = (0..100_000).map(|_| vec![7; 1_000]).collect();
        let peak = resident_kib();
        let kept: Vec<Vec<u8>> = blocks.into_iter().step_by(100).collect();
        assert!(give_back());
        let after = resident_kib();
        assert_eq!(kept.len(), 1_000);
        assert!(after + 60_000 < peak, "{peak} KiB at the peak, {after} afterwards");
    }
}
